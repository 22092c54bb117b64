//! The owner's commands about the vault: ways in, words, treasury, keys.

use crate::args::{ExportKeyArgs, ImportArgs, KeyCommand, TreasuryCommand, VaultCommand};
use crate::fault::{End, Fault};
use crate::link::{Context, shaped};
use crate::screen::{Tone, cell, left, one_line, toned};
use imprest_desk::SecretText;
use imprest_desk::view::{DeskStatus, ExportedKeyView, TreasuryView, WayView, Words};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// The longest file that is read as a key or a keystore, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// `imprest vault …`.
///
/// # Errors
/// What the desk says.
pub async fn vault(context: &Context, command: VaultCommand) -> Result<End, Fault> {
    match command {
        VaultCommand::Slots => {
            let (ways, answer): (Vec<WayView>, _) = context.ask_for("ways", json!({})).await?;
            show_ways(context, &ways, &answer)
        }
        VaultCommand::Add { kind } => change(context, "add_way", json!({ "kind": kind })).await,
        VaultCommand::Remove { slot } => {
            change(context, "remove_way", json!({ "way": slot })).await
        }
        VaultCommand::Passwd => {
            let old = context.passphrase.ask()?;
            let new = context.passphrase.choose()?;
            let args = json!({ "passphrase": old.expose(), "new_passphrase": new.expose() });
            show_changed(context, "change_passphrase", args).await
        }
        VaultCommand::Rewrap => change(context, "move_to_keychain", json!({})).await,
        VaultCommand::Words => {
            let (words, answer): (Words, Value) =
                context.ask_for("reveal_words", json!({})).await?;
            if context.screen.is_json() {
                context.screen.document(&answer)?;
            } else {
                crate::owner::show_words(context, &words.words)?;
            }
            Ok(End::Done)
        }
    }
}

/// `imprest recover`: the words and a new passphrase.
///
/// # Errors
/// What the desk says: words that are another vault's, a short passphrase.
pub async fn recover(context: &Context) -> Result<End, Fault> {
    let words = context.passphrase.secret("The 24 recovery words, in order: ")?;
    let new = context.passphrase.choose()?;
    let args = json!({ "words": words.expose(), "new_passphrase": new.expose() });
    let answer = context.carry("recover", args).await?;
    let _: DeskStatus = shaped("recover", &answer)?;
    if context.screen.is_json() {
        context.screen.document(&answer)?;
        return Ok(End::Done);
    }
    context.screen.line("The new passphrase is set, and it alone opens the vault.")?;
    context.screen.line("To have a keychain take part again: imprest vault rewrap")?;
    Ok(End::Done)
}

/// A change that takes the passphrase beside what `args` already says.
async fn change(context: &Context, command: &str, mut args: Value) -> Result<End, Fault> {
    let passphrase = context.passphrase.ask()?;
    args["passphrase"] = json!(passphrase.expose());
    show_changed(context, command, args).await
}

async fn show_changed(context: &Context, command: &str, args: Value) -> Result<End, Fault> {
    let answer = context.carry(command, args).await?;
    show_ways(context, &shaped::<Vec<WayView>>(command, &answer)?, &answer)
}

fn show_ways(context: &Context, ways: &[WayView], answer: &Value) -> Result<End, Fault> {
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    let rows: Vec<_> = ways
        .iter()
        .map(|way| {
            let keychain = way.keychain.clone().unwrap_or_default();
            let keychain = match way.here {
                true => cell(keychain),
                false => toned(Tone::Ask, format!("{keychain}, not this session’s")),
            };
            vec![toned(Tone::Strong, &way.kind), cell(opens(&way.kind)), keychain, cell(&way.id)]
        })
        .collect();
    screen.table(&[left("way"), left("opens with"), left("keychain"), left("slot")], &rows)?;
    Ok(End::Done)
}

/// What a way in takes.
pub fn opens(kind: &str) -> &'static str {
    match kind {
        "strong" => "passphrase and keychain together",
        "everyday" => "keychain alone; so can every program of yours",
        "passphrase" => "passphrase alone",
        "words" => "the 24 recovery words",
        _ => "",
    }
}

/// `imprest treasury …`.
///
/// # Errors
/// What the desk says.
pub async fn treasury(context: &Context, command: TreasuryCommand) -> Result<End, Fault> {
    let (view, answer): (TreasuryView, Value) = match command {
        TreasuryCommand::Show => context.ask_for("treasury", json!({})).await?,
        TreasuryCommand::Import(args) => import(context, &args).await?,
        TreasuryCommand::Watch { address } => {
            let passphrase = context.passphrase.ask()?;
            let args = json!({ "passphrase": passphrase.expose(), "address": address });
            carried(context, "watch_treasury", args).await?
        }
        TreasuryCommand::Own => {
            let passphrase = context.passphrase.ask()?;
            carried(context, "own_treasury", json!({ "passphrase": passphrase.expose() })).await?
        }
    };
    if context.screen.is_json() {
        context.screen.document(&answer)?;
        return Ok(End::Done);
    }
    let whose = match view.kind.as_str() {
        "own" => "the vault’s own account",
        "imported" => "a key from elsewhere, kept in the vault; the 24 words do not bring it back",
        "watched" => "only watched: refills are sent from where its key is",
        "device" => "on a Ledger device",
        _ => "",
    };
    let address = view.address.unwrap_or_else(|| "known once the vault is open".to_owned());
    context.screen.facts(0, &[("treasury", address), ("key", whose.to_owned())])?;
    Ok(End::Done)
}

async fn carried(
    context: &Context,
    command: &str,
    args: Value,
) -> Result<(TreasuryView, Value), Fault> {
    let answer = context.carry(command, args).await?;
    Ok((shaped(command, &answer)?, answer))
}

async fn import(context: &Context, args: &ImportArgs) -> Result<(TreasuryView, Value), Fault> {
    let file = args.file.as_deref().map(read_key_file).transpose()?;
    let passphrase = context.passphrase.ask()?;
    let key = match file {
        Some(key) => key,
        None => context.passphrase.secret("Private key, 64 hex digits: ")?,
    };
    // A keystore is a JSON document; a bare key is not.
    let opened_by = match key.expose().trim_start().starts_with('{') {
        true => Some(context.passphrase.secret("The keystore’s own passphrase: ")?),
        false => None,
    };
    let args = json!({
        "passphrase": passphrase.expose(),
        "key": key.expose(),
        "keystore_passphrase": opened_by.as_ref().map(SecretText::expose),
    });
    carried(context, "import_treasury", args).await
}

fn read_key_file(path: &Path) -> Result<SecretText, Fault> {
    let unreadable =
        |source| Fault::File { what: format!("{} cannot be read", path.display()), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::with_capacity(KEY_FILE_BYTES_MAX as usize);
    let read = file.take(KEY_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    let text = SecretText::new(text);
    if read as u64 > KEY_FILE_BYTES_MAX {
        return Err(Fault::input(
            format!("{} is too long to be a key or a keystore.", path.display()),
            "Name a keystore file, or a file with 64 hex digits.",
        ));
    }
    Ok(text)
}

/// `imprest key …`.
///
/// # Errors
/// What the desk says.
pub async fn key(context: &Context, command: KeyCommand) -> Result<End, Fault> {
    let KeyCommand::Export(ExportKeyArgs { whose, file }) = command;
    let path = std::path::absolute(&file)
        .map_err(|source| Fault::File { what: format!("{}", file.display()), source })?;
    let path = path.to_str().ok_or_else(|| {
        Fault::input("The file’s name cannot be written as text.", "Choose another name.")
    })?;
    let passphrase = context.passphrase.ask()?;
    let keystore = context.passphrase.choose_as("New passphrase for the file: ")?;
    let args = json!({
        "whose": whose,
        "path": path,
        "keystore_passphrase": keystore.expose(),
    });
    let answer = context.ask_with("export_key", args, passphrase).await?;
    let view: ExportedKeyView = shaped("export_key", &answer)?;
    if context.screen.is_json() {
        context.screen.document(&answer)?;
        return Ok(End::Done);
    }
    context.screen.facts(0, &[("file", one_line(&view.path)), ("address", view.address)])?;
    context
        .screen
        .line("Whoever has the file and its passphrase has the money at that address.")?;
    Ok(End::Done)
}
