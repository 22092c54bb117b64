//! What the window may ask: the desk's command table, and three things only a window needs.

use crate::opening::DeskSlot;
use crate::{exit, windows};
use imprest_desk::view::*;
use tauri::{AppHandle, Emitter, State, WebviewWindow};
use tauri_plugin_dialog::{DialogExt, FilePath};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;

/// The event the window hears when something changed; carries [`Changed`].
pub const CHANGED: &str = "changed";

/// The commands that are not in the desk's table.
#[cfg(test)]
pub const SHELL_COMMANDS: &[&str] = &["export_activity", "save_backup", "window_ready", "quit"];

/// The commands of the table that the window is not given: it never names a path to write to,
/// it asks for [`export_activity`] and [`save_backup`], where the owner chooses one; and keys come
/// and go by the command line only.
#[cfg(test)]
pub const WITHHELD: &[&str] =
    &["export_csv", "backup", "export_key", "import_treasury", "watch_treasury", "own_treasury"];

macro_rules! commands {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(
            $(#[doc = $doc])*
            #[tauri::command]
            pub async fn $name(slot: State<'_, DeskSlot>, $($arg: $type),*) -> Result<$answer, Problem> {
                slot.desk().await?.$name($($arg),*).await
            }
        )*

        /// Every command of the table, in its order, with its description.
        #[cfg(test)]
        pub const TABLE: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc),*))),*];

        /// Makes the handler of everything the window may ask.
        pub fn handler() -> impl Fn(tauri::ipc::Invoke<tauri::Wry>) -> bool + Send + Sync + 'static {
            tauri::generate_handler![$($name,)* export_activity, save_backup, window_ready, quit]
        }
    };
}

imprest_desk::command_table!(commands);

/// Lets the owner choose a file and writes activity there as CSV; nothing when they chose none.
///
/// # Errors
/// The desk's own, and `bad_input` for a path that is not Unicode.
#[tauri::command]
pub async fn export_activity(
    window: WebviewWindow,
    slot: State<'_, DeskSlot>,
    filter: ActivityFilter,
) -> Result<Option<Exported>, Problem> {
    let desk = slot.desk().await?;
    let name = export_name(jiff::Zoned::now().date());
    let Some(chosen) = ask_where(&window, "Export activity", name, "csv").await else {
        return Ok(None);
    };
    desk.export_csv(as_text(chosen)?, filter).await.map(Some)
}

/// Lets the owner choose a file and makes a backup there, sealed with the passphrase given; nothing
/// when they chose none.
///
/// # Errors
/// The desk's own, and `bad_input` for a path that is not Unicode.
#[tauri::command]
pub async fn save_backup(
    window: WebviewWindow,
    slot: State<'_, DeskSlot>,
    passphrase: String,
) -> Result<Option<BackupMade>, Problem> {
    let desk = slot.desk().await?;
    let name = backup_name(jiff::Zoned::now().date());
    let Some(chosen) = ask_where(&window, "Back up the desk", name, "age").await else {
        return Ok(None);
    };
    // The dialog has asked about a file of that name.
    desk.backup(as_text(chosen)?, passphrase, true).await.map(Some)
}

/// The chosen place as the desk takes it.
fn as_text(chosen: FilePath) -> Result<String, Problem> {
    let path = chosen.into_path().ok().and_then(|path| path.to_str().map(str::to_owned));
    path.ok_or_else(|| Problem {
        code: "bad_input".into(),
        message: "The chosen place has a name that cannot be written as text.".into(),
        recovery: "Choose another folder or file name.".into(),
    })
}

/// Shows the window, now that it has something to show.
#[tauri::command]
pub async fn window_ready(app: AppHandle) {
    windows::reveal(&app);
}

/// Ends the desk: agents are refused from here on.
#[tauri::command]
pub async fn quit(app: AppHandle) {
    exit::quit(&app);
}

/// The dialog answers on a thread of its own; nothing here waits on the main thread.
async fn ask_where(
    window: &WebviewWindow,
    title: &str,
    name: String,
    ending: &str,
) -> Option<FilePath> {
    let (chosen, choice) = oneshot::channel();
    window
        .dialog()
        .file()
        .set_parent(window)
        .set_title(title)
        .set_file_name(name)
        .add_filter(ending.to_uppercase(), &[ending])
        .save_file(move |path| {
            // Nobody waits any more when the window went away meanwhile.
            let _ = chosen.send(path);
        });
    choice.await.ok().flatten()
}

fn export_name(day: jiff::civil::Date) -> String {
    format!("imprest-activity-{day}.csv")
}

fn backup_name(day: jiff::civil::Date) -> String {
    format!("imprest-{day}.age")
}

/// Tells the main window of every change, for as long as the desk is open.
pub async fn forward_changes(app: AppHandle, slot: DeskSlot) {
    let Some(desk) = slot.opened().await else { return };
    let mut changes = desk.changes();
    loop {
        let changed = match changes.recv().await {
            Ok(changed) => changed,
            // Some were missed: everything may have changed.
            Err(RecvError::Lagged(_)) => everything(desk.status().await.map_or(0, |s| s.seq)),
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = app.emit_to(windows::MAIN, CHANGED, changed) {
            tracing::warn!(%error, "the window did not hear of a change");
        }
    }
}

fn everything(seq: u64) -> Changed {
    let topics = ["status", "overview", "agents", "activity"].map(str::to_owned).to_vec();
    Changed { topics, seq }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_named_after_its_day() {
        let day = jiff::civil::date(2026, 1, 9);
        assert_eq!(export_name(day), "imprest-activity-2026-01-09.csv");
        assert_eq!(backup_name(day), "imprest-2026-01-09.age");
    }

    #[test]
    fn withheld_commands_are_in_the_table() {
        for name in WITHHELD {
            assert!(TABLE.iter().any(|(known, _)| known == name), "{name} is not a command");
        }
    }
}
