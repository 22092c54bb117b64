//! Leaving: the desk is closed before the process ends, whoever asked for the end.

use crate::opening::DeskSlot;
use std::sync::atomic::{AtomicBool, Ordering};
use tauri::{AppHandle, Manager};

static LEAVING: AtomicBool = AtomicBool::new(false);

/// Closes the desk and ends the process; returns at once, and does nothing the second time.
pub fn quit(app: &AppHandle) {
    if LEAVING.swap(true, Ordering::SeqCst) {
        return;
    }
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        if let Some(window) = app.get_webview_window(crate::windows::MAIN) {
            // Closing can take a moment; the owner need not watch it.
            let _ = window.hide();
        }
        close(&app).await;
        app.exit(0);
    });
}

/// Closes the desk when the event loop ends by another way than [`quit`].
pub fn on_exit(app: &AppHandle) {
    tauri::async_runtime::block_on(close(app));
}

async fn close(app: &AppHandle) {
    if let Some(slot) = app.try_state::<DeskSlot>() {
        slot.close().await;
    }
}

/// Quits in order when the session or a terminal asks the process to end.
#[cfg(unix)]
pub async fn on_signal(app: AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut ended), Ok(mut interrupted), Ok(mut hung_up)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        tracing::warn!("signals cannot be heard; end the desk by its menu");
        return;
    };
    tokio::select! {
        _ = ended.recv() => {}
        _ = interrupted.recv() => {}
        _ = hung_up.recv() => {}
    }
    quit(&app);
}

/// Quits in order when a terminal asks the process to end.
#[cfg(not(unix))]
pub async fn on_signal(app: AppHandle) {
    if tokio::signal::ctrl_c().await.is_ok() {
        quit(&app);
    }
}
