//! Verdicts over made evidence: what no corpus of logs can show.

use super::*;

#[test]
fn every_cause_can_be_reached() {
    // By structure: limits, signals, findings of the agent, counted tests, exceptions, the resolver.
    let by_structure = [
        CauseId::Timeout,
        CauseId::Inactivity,
        CauseId::OutputLimit,
        CauseId::SegmentationFault,
        CauseId::Abort,
        CauseId::Crash,
        CauseId::WrongNameOrVersion,
        CauseId::FileClash,
        CauseId::BadRecord,
        CauseId::InconsistentRequirements,
        CauseId::BrokenEntryPoint,
        CauseId::BadWheelTag,
        CauseId::ExitsOnImport,
        CauseId::Unfetchable,
        CauseId::InvalidArchive,
        CauseId::PathEscape,
        CauseId::LeftoverFiles,
        CauseId::TouchedForeignFiles,
        CauseId::NotUninstallable,
        CauseId::UninstallError,
        CauseId::TestFailures,
        CauseId::CollectionError,
        CauseId::WarningsAsErrors,
        CauseId::UndeclaredDependency,
        CauseId::UndeclaredBuildRequirement,
        CauseId::RemovedStdlibModule,
        CauseId::MissingOwnModule,
        CauseId::DependencyNotFound,
        CauseId::NoMatchingDistribution,
        CauseId::DependencyConflict,
        CauseId::DependencyBuildFailed,
        CauseId::BuildBackendError,
        CauseId::Unclassified,
        CauseId::FarmFault,
    ];
    let by_rule: Vec<CauseId> = rules::shipped().iter().map(|rule| rule.id).collect();
    for id in CauseId::ALL {
        assert!(by_structure.contains(id) || by_rule.contains(id), "nothing leads to {id}");
    }
}
