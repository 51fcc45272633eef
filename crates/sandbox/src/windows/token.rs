//! A token of low rights: no privileges, no administrator's say, low integrity, so that a command can write to nothing but what is
//! labelled for it.

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    os::windows::{
        fs::OpenOptionsExt as _,
        io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    },
    path::Path,
};

use windows_sys::Win32::{
    Foundation::{HANDLE, LocalFree},
    Security::{
        ACL,
        Authorization::{
            ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
        },
        CreateRestrictedToken, CreateWellKnownSid, DACL_SECURITY_INFORMATION, DISABLE_MAX_PRIVILEGE,
        GetSecurityDescriptorDacl, GetTokenInformation, LABEL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR,
        PSID, SECURITY_MAX_SID_SIZE, SID_AND_ATTRIBUTES, SetKernelObjectSecurity, SetTokenInformation,
        TOKEN_ADJUST_DEFAULT, TOKEN_ASSIGN_PRIMARY, TOKEN_DEFAULT_DACL, TOKEN_DUPLICATE,
        TOKEN_INFORMATION_CLASS, TOKEN_MANDATORY_LABEL, TOKEN_OWNER, TOKEN_QUERY, TOKEN_USER,
        TokenDefaultDacl, TokenIntegrityLevel, TokenOwner, TokenUser, WELL_KNOWN_SID_TYPE,
        WinBuiltinAdministratorsSid, WinLowLabelSid,
    },
    Storage::FileSystem::{FILE_FLAG_BACKUP_SEMANTICS, WRITE_DAC, WRITE_OWNER},
    System::{
        SystemServices::SE_GROUP_INTEGRITY,
        Threading::{GetCurrentProcess, OpenProcessToken},
    },
};

use super::{last_error, wide};
use crate::Error;

/// A place for a security identifier.
type Sid = [u8; SECURITY_MAX_SID_SIZE as usize];

/// A token for a command, made of this process's own.
pub(super) fn low_rights() -> Result<OwnedHandle, Error> {
    let own = own_token()?;
    let mut administrators = well_known(WinBuiltinAdministratorsSid)?;
    let disabled = SID_AND_ATTRIBUTES { Sid: administrators.as_mut_ptr().cast(), Attributes: 0 };
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: one identifier is disabled, which lives until after the call; the others are empty lists.
    let done = unsafe {
        CreateRestrictedToken(
            own.as_raw_handle(),
            DISABLE_MAX_PRIVILEGE,
            1,
            &raw const disabled,
            0,
            std::ptr::null(),
            0,
            std::ptr::null(),
            &raw mut token,
        )
    };
    if done == 0 {
        return Err(last_error("make a token of low rights"));
    }
    // SAFETY: the call has just made it for us.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    give_to_user(&token)?;
    let mut low = well_known(WinLowLabelSid)?;
    let label = TOKEN_MANDATORY_LABEL {
        Label: SID_AND_ATTRIBUTES {
            Sid: low.as_mut_ptr().cast(),
            Attributes: SE_GROUP_INTEGRITY.cast_unsigned(),
        },
    };
    set(&token, TokenIntegrityLevel, &label, "lower a token's integrity")?;
    Ok(token)
}

/// What the token's holder makes belongs to the user, who may use it: of an administrator's token it would be the group's, which
/// the token is not of any more.
fn give_to_user(token: &OwnedHandle) -> Result<(), Error> {
    let user = User::of(token)?;
    let owner = TOKEN_OWNER { Owner: user.sid() };
    // Where this is refused no right is gained by it, and the token may only do less.
    let _ = set(token, TokenOwner, &owner, "make the user a token's owner");
    let descriptor = Descriptor::parse(&format!("D:(A;;GA;;;{})(A;;GA;;;SY)", user.text()?))?;
    let (mut present, mut defaulted) = (0, 0);
    let mut list: *mut ACL = std::ptr::null_mut();
    // SAFETY: the descriptor is one, and outlives the list, which lies in it.
    let done = unsafe {
        GetSecurityDescriptorDacl(descriptor.0, &raw mut present, &raw mut list, &raw mut defaulted)
    };
    if done == 0 {
        return Err(last_error("read an access list"));
    }
    set(token, TokenDefaultDacl, &TOKEN_DEFAULT_DACL { DefaultDacl: list }, "give a token its access list")
}

/// Opens a folder, and what will be made in it, to holders of such a token, and to nobody but this user, administrators and the
/// system.
pub(super) fn label(folder: &Path) -> Result<(), Error> {
    let user = User::of(&own_token()?)?.text()?;
    let text = format!("D:P(A;OICI;FA;;;{user})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)S:(ML;OICI;NW;;;LW)");
    let descriptor = Descriptor::parse(&text)?;
    let io = |error| Error::io(format!("label {}", folder.display()), error);
    let opened = OpenOptions::new()
        .access_mode(WRITE_DAC | WRITE_OWNER)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(folder)
        .map_err(io)?;
    let parts = DACL_SECURITY_INFORMATION | LABEL_SECURITY_INFORMATION;
    // SAFETY: the handle is open, the descriptor is one.
    let done = unsafe { SetKernelObjectSecurity(opened.as_raw_handle(), parts, descriptor.0) };
    if done == 0 { Err(io(std::io::Error::last_os_error())) } else { Ok(()) }
}

fn own_token() -> Result<OwnedHandle, Error> {
    let access = TOKEN_DUPLICATE | TOKEN_QUERY | TOKEN_ASSIGN_PRIMARY | TOKEN_ADJUST_DEFAULT;
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: the pseudo handle of this process needs no closing; one handle is written.
    let done = unsafe { OpenProcessToken(GetCurrentProcess(), access, &raw mut token) };
    if done == 0 {
        return Err(last_error("open this process's token"));
    }
    // SAFETY: the call has just made it for us.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

fn well_known(kind: WELL_KNOWN_SID_TYPE) -> Result<Sid, Error> {
    let mut sid: Sid = [0; SECURITY_MAX_SID_SIZE as usize];
    let mut size = SECURITY_MAX_SID_SIZE;
    // SAFETY: the place is as large as any identifier.
    let done =
        unsafe { CreateWellKnownSid(kind, std::ptr::null_mut(), sid.as_mut_ptr().cast(), &raw mut size) };
    if done == 0 { Err(last_error("name a group")) } else { Ok(sid) }
}

fn set<T>(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS, value: &T, action: &str) -> Result<(), Error> {
    let pointer: *const T = value;
    // SAFETY: `value` is the structure of this class, whole; what it points to lives until after the call.
    let done =
        unsafe { SetTokenInformation(token.as_raw_handle(), class, pointer.cast(), size_of::<T>() as u32) };
    if done == 0 { Err(last_error(action)) } else { Ok(()) }
}

/// Who a token's holder is: a `TOKEN_USER`, with the identifier that it points to behind it.
struct User(Vec<usize>);

impl User {
    fn of(token: &OwnedHandle) -> Result<Self, Error> {
        // In whole pointers, so that the structure lies as it must.
        let mut room = vec![0_usize; 64];
        let (size, mut used) = (size_of_val(room.as_slice()) as u32, 0);
        // SAFETY: the room is as large as is said.
        let done = unsafe {
            GetTokenInformation(
                token.as_raw_handle(),
                TokenUser,
                room.as_mut_ptr().cast(),
                size,
                &raw mut used,
            )
        };
        if done == 0 { Err(last_error("ask who this user is")) } else { Ok(User(room)) }
    }

    fn sid(&self) -> PSID {
        // SAFETY: the system has written the structure to the beginning, and the room is aligned for it.
        unsafe { (*self.0.as_ptr().cast::<TOKEN_USER>()).User.Sid }
    }

    /// `S-1-5-21-…`.
    fn text(&self) -> Result<String, Error> {
        let mut text: *mut u16 = std::ptr::null_mut();
        // SAFETY: the identifier lies in our room; one pointer is written.
        if unsafe { ConvertSidToStringSidW(self.sid(), &raw mut text) } == 0 {
            return Err(last_error("write down who this user is"));
        }
        // SAFETY: the text ends with NUL, is copied, and then given back to where it came from.
        unsafe {
            let length = (0..).take_while(|at| *text.add(*at) != 0).count();
            let copy = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
            LocalFree(text.cast());
            Ok(copy)
        }
    }
}

/// A security descriptor out of its text form.
struct Descriptor(PSECURITY_DESCRIPTOR);

impl Descriptor {
    fn parse(text: &str) -> Result<Self, Error> {
        let (text, mut descriptor) = (wide(OsStr::new(text)), std::ptr::null_mut());
        // SAFETY: the text ends with NUL; one pointer is written, and the size is not wanted.
        let done = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                std::ptr::null_mut(),
            )
        };
        if done == 0 { Err(last_error("write down who may do what")) } else { Ok(Descriptor(descriptor)) }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system made it, and wants it back so.
        unsafe { LocalFree(self.0) };
    }
}
