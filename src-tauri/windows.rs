//! The main window: its size, when it shows, and where it may never go.

use crate::{exit, notify};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tauri::webview::{NewWindowResponse, PermissionResponse};
use tauri::{
    AppHandle, Manager, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent,
};

/// The label of the only window.
pub const MAIN: &str = "main";

/// The window shows after this long even if it never said that it has painted.
const SHOWS_ANYWAY: Duration = Duration::from_millis(1_500);

/// Where the window keeps what is its own: web storage, size and position, what it has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFolder(PathBuf);

impl WindowFolder {
    /// Makes the folder inside a data folder, readable by its owner only.
    ///
    /// # Errors
    /// When the system does not let it be made.
    pub fn make(data_dir: &Path) -> std::io::Result<Self> {
        let folder = data_dir.join("window");
        let mut maker = std::fs::DirBuilder::new();
        maker.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
        maker.create(&folder)?;
        Ok(Self(folder))
    }

    /// Makes one aside, for a data folder that cannot be used: that is the desk's to report, in a
    /// window, since a start from a menu would otherwise end in silence.
    ///
    /// # Errors
    /// When the system lets no folder be made at all.
    pub fn aside() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("imprest-window-{}", std::process::id()));
        let mut maker = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
        // Not recursive: a folder that somebody put there before is refused.
        maker.create(&folder)?;
        Self::make(&folder)
    }

    /// Where size and position are kept.
    pub fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    fn web_storage(&self) -> PathBuf {
        self.0.join("web")
    }

    /// Says whether the owner has yet to be told that closing is not quitting, and notes that
    /// they are being told now.
    fn first_close(&self) -> bool {
        let told = self.0.join("told-that-closing-hides");
        std::fs::OpenOptions::new().write(true).create_new(true).open(told).is_ok()
    }
}

/// Whether the window has been shown since the process started.
#[derive(Debug, Default)]
pub struct Shown(AtomicBool);

/// Makes the main window, hidden; it shows when it has painted, see [`reveal`].
///
/// # Errors
/// When the system cannot make a window or a web view.
pub fn create(app: &AppHandle) -> tauri::Result<WebviewWindow> {
    let folder = app.state::<WindowFolder>();
    let home = app.config().build.dev_url.clone().filter(|_| tauri::is_dev());
    let window = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default())
        .title("Imprest")
        .inner_size(1180.0, 780.0)
        .min_inner_size(900.0, 600.0)
        .visible(false)
        .data_directory(folder.web_storage())
        .zoom_hotkeys_enabled(true)
        .general_autofill_enabled(false)
        .devtools(cfg!(debug_assertions))
        .on_navigation(move |url| stays_home(url, home.as_ref()))
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_download(|_, _| false)
        .on_permission_request(|_, _| PermissionResponse::Deny)
        .build()?;
    let late = app.clone();
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(SHOWS_ANYWAY).await;
        reveal(&late);
    });
    Ok(window)
}

/// Shows the window for the first time; later calls do nothing, so a window that its owner has
/// closed meanwhile stays closed.
pub fn reveal(app: &AppHandle) {
    if !app.state::<Shown>().0.swap(true, Ordering::SeqCst) {
        tracing::info!("showing the window");
        open(app);
    }
}

/// Brings the window to the front because its owner asked for it.
pub fn open(app: &AppHandle) {
    app.state::<Shown>().0.store(true, Ordering::SeqCst);
    let Some(window) = app.get_webview_window(MAIN) else { return };
    let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
    if let Err(error) = shown {
        tracing::warn!(%error, "the window could not be brought to the front");
    }
}

/// Says whether the owner is looking at the window.
pub fn in_front(app: &AppHandle) -> bool {
    app.get_webview_window(MAIN).is_some_and(|window| {
        window.is_visible().unwrap_or(false) && window.is_focused().unwrap_or(false)
    })
}

/// Hides the window instead of closing it: the desk keeps running for its agents.
pub fn on_event(window: &tauri::Window, event: &WindowEvent) {
    let WindowEvent::CloseRequested { api, .. } = event else { return };
    let app = window.app_handle();
    api.prevent_close();
    if let Err(error) = window.hide() {
        tracing::error!(%error, "the window could not be hidden; quitting instead");
        exit::quit(app);
        return;
    }
    if app.state::<WindowFolder>().first_close() {
        notify::closing_hides(app);
    }
}

/// Lets the web view go to the application's own pages and nowhere else.
///
/// `home` is the development server, in development builds only. The whole origin is compared:
/// a host that merely starts like ours is somebody else's (CVE-2026-42184).
fn stays_home(url: &Url, home: Option<&Url>) -> bool {
    if let Some(home) = home {
        return url.origin() == home.origin();
    }
    let ours = if cfg!(any(windows, target_os = "android")) {
        url.scheme() == "http" && url.host_str() == Some("tauri.localhost")
    } else {
        url.scheme() == "tauri" && url.host_str() == Some("localhost")
    };
    ours && url.port().is_none() && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a well-formed address")
    }

    #[test]
    #[cfg(not(windows))]
    fn only_its_own_pages() {
        assert!(stays_home(&url("tauri://localhost/index.html#/desk"), None));
        for elsewhere in [
            "https://example.com/",
            "http://localhost/",
            "http://127.0.0.1:5173/",
            "tauri://localhost.evil.com/",
            "tauri://evil/localhost",
            "tauri://localhost:81/",
            "tauri://user@localhost/",
            "file:///etc/passwd",
            "data:text/html,<p>",
            "javascript:alert(1)",
            "about:blank",
            "blob:tauri://localhost/0",
        ] {
            assert!(!stays_home(&url(elsewhere), None), "{elsewhere} was allowed");
        }
    }

    #[test]
    fn in_development_only_the_development_server() {
        let home = url("http://127.0.0.1:5173/");
        assert!(stays_home(&url("http://127.0.0.1:5173/#/agents"), Some(&home)));
        for elsewhere in ["http://127.0.0.1:5174/", "https://127.0.0.1:5173/", "tauri://localhost/"]
        {
            assert!(!stays_home(&url(elsewhere), Some(&home)), "{elsewhere} was allowed");
        }
    }

    #[test]
    fn tells_once_that_closing_hides() {
        let data = tempfile::tempdir().expect("a scratch folder");
        let folder = WindowFolder::make(data.path()).expect("it can be made");
        assert!(folder.first_close());
        assert!(!folder.first_close());
        assert!(!WindowFolder::make(data.path()).expect("it is there").first_close());
    }

    #[test]
    #[cfg(unix)]
    fn its_folder_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().expect("a scratch folder");
        let desk = data.path().join("desk");
        WindowFolder::make(&desk).expect("it can be made");
        for folder in [desk.clone(), desk.join("window")] {
            let mode = folder.metadata().expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        }
    }
}
