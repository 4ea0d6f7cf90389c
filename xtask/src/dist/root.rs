//! A fresh Debian to install the command into, and to run it there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Context;
use crate::{apt, sh};

/// The oldest release that Debian's servers still have, with glibc 2.31.
const RELEASE: &str = "bullseye";

/// What a user would do after the installation. `demo` follows a stream through failures. Nothing
/// listens on the ports: an engine that is there reports that. `_completion_loader` ends with 124.
const SCRIPT: &str = r#"
everstream --version
everstream demo | tail -n 2
postgres="postgres://127.0.0.1:9/d?table=t&feed=f&sslmode=disable"
for log in "$postgres" "redis://127.0.0.1:9/0?key=k" nats://127.0.0.1:9/s; do
    everstream relay http://127.0.0.1:9/ "$log" --check 2>&1 | grep "connection refused"
done
for page in everstream everstream-relay; do
    man "$page" > /tmp/page
    grep "EXIT STATUS" /tmp/page
done
bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader everstream; complete -p everstream'
test -s "$(find /usr -name THIRD-PARTY-LICENSES.txt)"
"#;

/// Copies `package` into a fresh root, runs `install` there with its path, and then the command.
pub(super) fn try_out(context: &Context, package: &Path, install: &[&str]) -> sh::Outcome {
    let root = fresh(context)?;
    let inside = Path::new("/tmp").join(package.file_name().unwrap_or_default());
    fs::copy(package, root.join(inside.strip_prefix("/")?))?;
    sh::run(chroot(&root).args(install).arg(&inside))?;
    sh::run(chroot(&root).args(["sh", "-ec", SCRIPT]))?;
    println!("{}: works on {RELEASE}", inside.display());
    Ok(fs::remove_dir_all(root)?)
}

fn chroot(root: &Path) -> Command {
    let mut chroot = Command::new("chroot");
    chroot
        .arg(root)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8");
    chroot
}

/// Unpacks the release, which is downloaded once.
fn fresh(context: &Context) -> sh::Outcome<PathBuf> {
    if sh::capture(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err("run this as root: it installs the command into a fresh Debian".into());
    }
    let archive = context.folder.join(format!("{RELEASE}.tar"));
    if !archive.exists() {
        let log = context.folder.join("mmdebstrap.log");
        apt::install(&[("/usr/bin/mmdebstrap", "mmdebstrap")], &log)?;
        let part = archive.with_extension("part.tar");
        let mut create = Command::new("mmdebstrap");
        create
            .args(["--variant=minbase", "--include=man-db,bash-completion"])
            .arg(RELEASE)
            .arg(&part);
        sh::logged(&mut create, &log)?;
        fs::rename(part, &archive)?;
    }
    let root = context.folder.join("root");
    sh::empty_folder(&root)?;
    sh::run(
        Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(&root),
    )?;
    Ok(root)
}
