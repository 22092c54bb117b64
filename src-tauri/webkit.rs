//! What WebKitGTK must find in the environment before it starts.

/// Turns WebKitGTK's DMA-BUF renderer off unless the owner has decided about it.
///
/// With several graphics drivers that renderer leaves the window blank. WebKit reads the variable
/// in its own child processes, so it has to be in the environment, and changing this process's
/// environment is unsafe once there are threads. The process therefore replaces itself once, at
/// the very start and under the same id, with the variable set; if that fails it goes on without.
#[cfg(target_os = "linux")]
pub fn prepare() {
    use std::os::unix::process::CommandExt;

    const RENDERER: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
    if std::env::var_os(RENDERER).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut args = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    let error = again.args(args).env(RENDERER, "1").exec();
    tracing::warn!(%error, "cannot set {RENDERER}; set it to 1 yourself if the window stays blank");
}

/// Does nothing: only WebKitGTK needs it.
#[cfg(not(target_os = "linux"))]
pub fn prepare() {}
