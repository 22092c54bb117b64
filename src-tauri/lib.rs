//! The shell: one window, one tray icon and notifications around the desk.
//!
//! Thin by design: it holds no rule, no SQL and no key. The desk opens in the background while
//! the window paints; commands wait for it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(test)]
mod access;
mod args;
mod exit;
mod ipc;
mod notify;
mod opening;
mod tray;
mod webkit;
mod windows;

use args::Args;
use opening::DeskSlot;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use tauri::{AppHandle, Manager, RunEvent, Wry};
use tauri_plugin_window_state::StateFlags;
use tracing_subscriber::EnvFilter;
use windows::{Shown, WindowFolder};

/// Runs the desk with its window until its owner quits.
pub fn run() -> ExitCode {
    let args = Args::from_process();
    start_log();
    webkit::prepare();
    if let Err(error) = imprest_desk::harden_process() {
        tracing::warn!(%error, "memory is less protected than it should be");
    }
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `IMPREST_LOG` chooses what is logged, in tracing's own notation; the log goes to stderr.
fn start_log() {
    let filter = EnvFilter::try_from_env("IMPREST_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,imprest_app=info,imprest_desk=info"));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
}

fn start(args: Args) -> anyhow::Result<()> {
    let chosen = args.data.is_some() || std::env::var_os("IMPREST_DATA").is_some();
    let data_dir = imprest_desk::data_dir(args.data)
        .map_err(|problem| anyhow::anyhow!("{}\n{}", problem.message, problem.recovery))?;
    let data_dir = std::path::absolute(data_dir)?;
    let folder = WindowFolder::make(&data_dir)
        .or_else(|error| WindowFolder::aside().map_err(|_| unusable(&data_dir, &error)))?;
    let context = tauri::generate_context!();
    let identifier = context.config().identifier.clone();
    let app =
        plugins(tauri::Builder::default(), &identifier, chosen.then_some(&*data_dir), &folder)
            .manage(folder)
            .manage(Shown::default())
            .on_window_event(windows::on_event)
            .invoke_handler(ipc::handler())
            .setup(move |app| {
                set_up(app.handle(), DeskSlot::open(data_dir))?;
                Ok(())
            })
            .build(context)?;
    app.run(|app, event| match event {
        RunEvent::Exit => exit::on_exit(app),
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => windows::open(app),
        _ => {}
    });
    Ok(())
}

fn unusable(data_dir: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "The data folder {} cannot be used: {error}.\n\
         Make it writable for yourself, or name another with --data.",
        data_dir.display()
    )
}

/// The single instance comes first, so that a second start ends before it touches anything.
fn plugins(
    builder: tauri::Builder<Wry>,
    identifier: &str,
    chosen_dir: Option<&Path>,
    folder: &WindowFolder,
) -> tauri::Builder<Wry> {
    let mut single = tauri_plugin_single_instance::Builder::new()
        .callback(|app: &AppHandle, _args, _folder| windows::open(app));
    if let Some(dir) = chosen_dir {
        single = single.dbus_id(instance_name(identifier, dir));
    }
    let mut place = tauri_plugin_window_state::Builder::default()
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED);
    // An absolute path replaces the plugin's own folder, so each desk keeps its window's place
    // with its data and a throwaway desk leaves nothing behind.
    if let Some(file) = folder.state_file().to_str().filter(|file| Path::new(file).is_absolute()) {
        place = place.with_filename(file);
    }
    builder
        .plugin(single.build())
        .plugin(place.build())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_notification::init())
}

/// One desk per folder: a desk in a folder of its own is not a second start of the usual one.
/// Linux alone can tell them apart; elsewhere the first desk comes to the front.
fn instance_name(identifier: &str, data_dir: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    format!("{identifier}.at{:016x}", hasher.finish())
}

fn set_up(app: &AppHandle, slot: DeskSlot) -> tauri::Result<()> {
    tracing::info!(data_dir = %slot.data_dir().display(), "opening the desk");
    app.manage(slot.clone());
    notify::prepare(app);
    windows::create(app)?;
    tray::create(app);
    tauri::async_runtime::spawn(ipc::forward_changes(app.clone(), slot.clone()));
    tauri::async_runtime::spawn(tray::follow(app.clone(), slot.clone()));
    tauri::async_runtime::spawn(notify::follow(app.clone(), slot));
    tauri::async_runtime::spawn(exit::on_signal(app.clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_has_its_own_instance() {
        let name = |dir: &str| instance_name("app.imprest.desk", Path::new(dir));
        assert_eq!(name("/a"), name("/a"));
        assert_ne!(name("/a"), name("/b"));
        assert!(name("/a").starts_with("app.imprest.desk.at"));
    }
}
