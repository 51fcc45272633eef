//! Which file systems the database may live on. WAL mode shares memory and locks between processes, which network
//! file systems do not keep reliably (sqlite.org/wal.html); they are refused rather than trusted.

use std::{io, path::Path};

use crate::Error;

/// What a folder lies on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// `f_type` of statfs(2); 0 where the system has none.
    pub magic: u64,
    /// The type's name in the mount table, asked for FUSE only, e.g. `fuse.sshfs`.
    pub name: Option<String>,
}

const FUSE: u64 = 0x6573_5546;

/// Magic numbers of network and cluster file systems.
const NETWORK: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0xAAD7_AAEA, "PanFS"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564C, "NCP"),
    (0x7461_636F, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

/// FUSE file systems that reach over a network. Others are local (`fuseblk`, `fuse.mergerfs`, `fuse-overlayfs`).
const NETWORK_FUSE: &[&str] = &[
    "sshfs",
    "glusterfs",
    "s3fs",
    "s3ql",
    "goofys",
    "gcsfuse",
    "blobfuse",
    "rclone",
    "juicefs",
    "ceph-fuse",
    "cephfs",
    "davfs",
    "curlftpfs",
    "smbnetfs",
    "seaweedfs",
    "moosefs",
    "mfs",
    "lizardfs",
    "cvmfs2",
    "mountpoint-s3",
    "afs",
];

/// Refuses a folder on a network file system. 9p and virtiofs are let through: that is how WSL, gVisor and virtual
/// machines hand their host's local files to the one kernel that works with them.
pub(crate) fn refuse_network(
    folder: &Path,
    file_system_of: &dyn Fn(&Path) -> io::Result<FileSystem>,
) -> Result<(), Error> {
    let found = file_system_of(folder).map_err(|source| Error::folder(folder, source))?;
    match network_kind(&found) {
        Some(kind) => Err(Error::NetworkFileSystem { folder: folder.to_owned(), kind }),
        None => Ok(()),
    }
}

fn network_kind(found: &FileSystem) -> Option<String> {
    if found.magic == FUSE {
        let name = found.name.as_deref()?;
        let bare = name.strip_prefix("fuse.").unwrap_or(name);
        return NETWORK_FUSE.contains(&bare).then(|| name.to_owned());
    }
    NETWORK.iter().find(|(magic, _)| *magic == found.magic).map(|(_, name)| (*name).to_owned())
}

/// Asks the kernel.
#[cfg(target_os = "linux")]
pub(crate) fn of(folder: &Path) -> io::Result<FileSystem> {
    // `f_type` is signed or not, 32 or 64 bits wide, by architecture: the low 32 bits are the number everywhere.
    let magic = (rustix::fs::statfs(folder)?.f_type as u64) & 0xFFFF_FFFF;
    let name = if magic == FUSE {
        let device = rustix::fs::stat(folder)?.st_dev;
        let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        type_in_mount_table(&String::from_utf8_lossy(&table), &device)
    } else {
        None
    };
    Ok(FileSystem { magic, name })
}

/// Systems without that call are not judged.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of(_folder: &Path) -> io::Result<FileSystem> {
    Ok(FileSystem::default())
}

/// The file system type of the mount with this `major:minor` (proc(5), `mountinfo`).
#[cfg(target_os = "linux")]
fn type_in_mount_table(table: &str, device: &str) -> Option<String> {
    table.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        (mount.split(' ').nth(2)? == device).then(|| kind.split(' ').next().unwrap_or_default().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(magic: u64, name: Option<&str>) -> Option<String> {
        network_kind(&FileSystem { magic, name: name.map(str::to_owned) })
    }

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(kind(0x6969, None).as_deref(), Some("NFS"));
        assert_eq!(kind(0xFF53_4D42, None).as_deref(), Some("CIFS"));
        assert_eq!(kind(FUSE, Some("fuse.sshfs")).as_deref(), Some("fuse.sshfs"));
        assert_eq!(kind(FUSE, Some("fuseblk")), None, "ntfs-3g is a local disk");
        assert_eq!(kind(FUSE, None), None);
        for (magic, local) in
            [(0xEF53, "ext4"), (0x5846_5342, "xfs"), (0x0102_1994, "tmpfs"), (0x0102_1997, "9p")]
        {
            assert_eq!(kind(magic, None), None, "{local}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_mount_table_names_the_type() {
        let table = "36 35 98:0 / /a\\040b rw,noatime shared:1 - ext4 /dev/sda1 rw\n\
                     37 35 0:52 / /remote rw - fuse.sshfs host:/ rw,user_id=0\n";
        assert_eq!(type_in_mount_table(table, "0:52").as_deref(), Some("fuse.sshfs"));
        assert_eq!(type_in_mount_table(table, "0:53"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_answers() {
        let folder = tempfile::tempdir().unwrap();
        assert_ne!(of(folder.path()).unwrap().magic, 0);
    }
}
