//! Which files of an index page an environment's installer could use: by `Requires-Python`, by tags, by format.

use wheeltapper_core::{VersionSpecifiers, wheel};
use wheeltapper_index::{DistributionName, File, ProjectPage, SdistFormat};

use crate::{environment::HostEnvironment, resolve::LockedWheel};

impl HostEnvironment {
    /// True when the file's `Requires-Python` admits the interpreter. Specifiers that do not parse exclude nobody, as
    /// installers read them; an interpreter before its final release counts as that release.
    pub fn admits(&self, file: &File) -> bool {
        let Some(text) = &file.requires_python else { return true };
        let Ok(specifiers) = text.parse::<VersionSpecifiers>() else { return true };
        specifiers.contains(&self.interpreter.version.only_release())
    }

    /// How well a wheel's tags fit, 0 the best; `None` for what is no wheel that the interpreter takes.
    pub fn rank(&self, file: &File) -> Option<usize> {
        let name = file.distribution.wheel()?;
        let [python, abi, platform] = [&name.python, &name.abi, &name.platform].map(|tags| tags.join("."));
        wheel::rank(&self.tags, &python, &abi, &platform)
    }
}

/// True for an sdist in a format that installers take.
pub fn is_sdist(file: &File) -> bool {
    match &file.distribution {
        DistributionName::Sdist { format, .. } => *format != SdistFormat::OtherTar,
        DistributionName::Wheel(_) => false,
    }
}

/// True when the page has a newer release than this wheel's that only has an sdist for this environment: a resolver that
/// must not build steps back over it without a word, where an installer would build it. `admitted` says which versions the
/// question itself allows.
pub(crate) fn hides_a_newer_sdist(
    page: &ProjectPage,
    chosen: &LockedWheel,
    environment: &HostEnvironment,
    admitted: impl Fn(&wheeltapper_core::Version) -> bool,
) -> bool {
    let Ok(version) = chosen.version.parse::<wheeltapper_core::Version>() else { return false };
    let standing = |file: &&File| file.yanked.is_none() && environment.admits(file);
    page.files.iter().filter(standing).filter(|file| is_sdist(file)).any(|sdist| {
        let newer = sdist.distribution.version();
        let of_same_kind = !newer.any_prerelease() || version.any_prerelease();
        let has_wheel = || {
            let same = page.files.iter().filter(standing).filter(|file| file.distribution.version() == newer);
            same.filter_map(|file| environment.rank(file)).next().is_some()
        };
        *newer > version && of_same_kind && admitted(newer) && !has_wheel()
    })
}
