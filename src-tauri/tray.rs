//! The icon in the tray: how many questions wait, and the switch that stops everything.
//!
//! Everything is in the menu, because Linux reports no clicks on the icon itself. Where there is
//! no tray the desk works without.

use crate::opening::DeskSlot;
use crate::{exit, notify, windows};
use imprest_desk::view::DeskStatus;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use tauri::image::Image;
use tauri::menu::{Menu, MenuEvent, MenuItem, PredefinedMenuItem};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Manager, Wry};
use tokio::sync::broadcast::error::RecvError;

const WAITING: &str = "waiting";
const OPEN: &str = "open";
const FREEZE: &str = "freeze";
const QUIT: &str = "quit";

const PLAIN_ICON: Image<'_> = tauri::include_image!("assets/icons/tray.png");
const WAITING_ICON: Image<'_> = tauri::include_image!("assets/icons/tray-waiting.png");
const FROZEN_ICON: Image<'_> = tauri::include_image!("assets/icons/tray-frozen.png");

/// What the icon shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Face {
    waiting: u32,
    frozen: bool,
}

impl Face {
    fn of(status: &DeskStatus) -> Self {
        Self { waiting: status.waiting, frozen: status.frozen }
    }

    /// Frozen comes before waiting: nothing that waits can be paid while it lasts.
    fn icon(self) -> Image<'static> {
        match self {
            Self { frozen: true, .. } => FROZEN_ICON,
            Self { waiting: 0, .. } => PLAIN_ICON,
            _ => WAITING_ICON,
        }
    }

    fn waiting_line(self) -> String {
        match self.waiting {
            0 => "Nothing waits".into(),
            n => format!("{n} waiting"),
        }
    }

    fn freeze_line(self) -> &'static str {
        if self.frozen { "Thaw…" } else { "Freeze everything" }
    }

    /// The count beside the icon, where a desktop shows one; nothing rather than a nought.
    fn title(self) -> Option<String> {
        (self.waiting > 0).then(|| self.waiting.to_string())
    }

    fn tooltip(self) -> String {
        let waiting = match self.waiting {
            0 => "nothing waits".to_owned(),
            1 => "1 question waits".to_owned(),
            n => format!("{n} questions wait"),
        };
        if self.frozen {
            format!("Imprest: frozen, {waiting}")
        } else {
            format!("Imprest: {waiting}")
        }
    }
}

struct Tray {
    icon: TrayIcon<Wry>,
    waiting: MenuItem<Wry>,
    freeze: MenuItem<Wry>,
    frozen: AtomicBool,
}

impl Tray {
    fn show(&self, face: Face) -> tauri::Result<()> {
        self.frozen.store(face.frozen, Ordering::SeqCst);
        self.waiting.set_text(face.waiting_line())?;
        self.freeze.set_text(face.freeze_line())?;
        self.icon.set_icon(Some(face.icon()))?;
        self.icon.set_title(face.title())?;
        self.icon.set_tooltip(Some(face.tooltip()))
    }
}

/// Puts the icon in the tray; without a tray it says so in the log, and that is all.
pub fn create(app: &AppHandle) {
    // The Linux binding panics when the system's indicator library is not installed.
    match catch_unwind(AssertUnwindSafe(|| build(app))) {
        Ok(Ok(tray)) => {
            app.manage(tray);
        }
        Ok(Err(error)) => tracing::warn!(%error, "no tray icon; start Imprest again to open it"),
        Err(_) => tracing::warn!("no tray icon: the system's indicator library is missing"),
    }
}

fn build(app: &AppHandle) -> tauri::Result<Tray> {
    let face = Face::default();
    let item = |id: &str, text: &str| MenuItem::with_id(app, id, text, true, None::<&str>);
    let waiting = item(WAITING, &face.waiting_line())?;
    let freeze = item(FREEZE, face.freeze_line())?;
    let open = item(OPEN, "Open Imprest")?;
    let quit = item(QUIT, "Quit (agents will be refused)")?;
    let line = || PredefinedMenuItem::separator(app);
    let menu = Menu::with_items(app, &[&waiting, &open, &line()?, &freeze, &line()?, &quit])?;
    let icon = TrayIconBuilder::with_id("desk")
        .icon(face.icon())
        .icon_as_template(true)
        .tooltip(face.tooltip())
        .menu(&menu)
        .on_menu_event(on_menu)
        .build(app)?;
    Ok(Tray { icon, waiting, freeze, frozen: AtomicBool::new(false) })
}

fn on_menu(app: &AppHandle, event: MenuEvent) {
    match event.id().as_ref() {
        WAITING | OPEN => windows::open(app),
        FREEZE => freeze_or_thaw(app),
        QUIT => exit::quit(app),
        _ => {}
    }
}

/// Freezes at once; thawing gives authority back, so it is done in the window.
fn freeze_or_thaw(app: &AppHandle) {
    let frozen = app.try_state::<Tray>().is_some_and(|tray| tray.frozen.load(Ordering::SeqCst));
    if frozen {
        windows::open(app);
        return;
    }
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let slot = app.state::<DeskSlot>();
        let frozen = match slot.desk().await {
            Ok(desk) => desk.freeze().await,
            Err(problem) => Err(problem),
        };
        match frozen {
            Ok(status) => show(&app, Face::of(&status)),
            Err(problem) => {
                notify::not_frozen(&app, &problem);
                windows::open(&app);
            }
        }
    });
}

fn show(app: &AppHandle, face: Face) {
    let Some(tray) = app.try_state::<Tray>() else { return };
    if let Err(error) = tray.show(face) {
        tracing::warn!(%error, "the tray icon does not show the desk's state");
    }
}

/// Keeps the icon true, for as long as the desk is open.
pub async fn follow(app: AppHandle, slot: DeskSlot) {
    let Some(desk) = slot.opened().await else { return };
    let mut changes = desk.changes();
    let mut shown = None;
    loop {
        match desk.status().await {
            Ok(status) if shown != Some(Face::of(&status)) => {
                shown = Some(Face::of(&status));
                show(&app, Face::of(&status));
            }
            Ok(_) => {}
            Err(problem) => tracing::warn!(code = problem.code, "{}", problem.message),
        }
        loop {
            match changes.recv().await {
                Ok(changed) if changed.topics.iter().any(|topic| topic == "status") => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_many_wait() {
        let face = |waiting, frozen| Face { waiting, frozen };
        assert_eq!(face(0, false).waiting_line(), "Nothing waits");
        assert_eq!(face(3, false).waiting_line(), "3 waiting");
        assert_eq!(face(0, false).title(), None);
        assert_eq!(face(12, true).title().as_deref(), Some("12"));
        assert_eq!(face(1, false).tooltip(), "Imprest: 1 question waits");
        assert_eq!(face(2, true).tooltip(), "Imprest: frozen, 2 questions wait");
        assert_eq!(face(0, true).freeze_line(), "Thaw…");
    }

    #[test]
    fn each_state_has_its_own_icon() {
        let icons = [(0, false), (1, false), (1, true)]
            .map(|(waiting, frozen)| Face { waiting, frozen }.icon().rgba().to_vec());
        assert_ne!(icons[0], icons[1]);
        assert_ne!(icons[1], icons[2]);
        assert_ne!(icons[0], icons[2]);
    }
}
