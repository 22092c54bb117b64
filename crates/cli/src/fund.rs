//! Where money for the desk is sent to: the treasury's address, in letters and as a QR code.
//!
//! The code holds the plain address and not a payment request (EIP-681): every wallet and exchange
//! reads an address, and a request for a token names the token's contract first, to which a program
//! that does not know the form would send the money, and it would be lost.

use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{note, one_line};
use imprest_desk::view::FundView;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};

/// `imprest fund`.
///
/// # Errors
/// What the desk says.
pub async fn fund(context: &Context) -> Result<End, Fault> {
    let (it, answer): (FundView, Value) = context.ask_for("fund", json!({})).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&answer)?;
        return Ok(End::Done);
    }
    let unknown = || "not known; the chain does not answer".to_owned();
    let held = it.balance.as_ref().map_or_else(unknown, |units| format!("{units} {}", it.asset));
    screen.facts(
        0,
        &[
            ("address", it.address.clone()),
            ("network", format!("{}, {}", it.network, it.network_id)),
            ("asset", format!("{}, {}", it.asset, it.contract)),
            ("holds", held),
            (
                "for gas",
                it.coin
                    .as_ref()
                    .map_or_else(unknown, |coin| format!("{coin} of the network’s own coin")),
            ),
        ],
    )?;
    // A code on a page that nobody looks at is noise.
    if let Some(code) = code(&it.address, screen.is_terminal()) {
        screen.line("")?;
        screen.bytes(code.as_bytes())?;
        screen.line("")?;
        screen.line("Compare the first and the last characters with what your wallet shows.")?;
    }
    if let Some(text) = &it.note {
        note(&one_line(text));
    }
    Ok(End::Done)
}

/// An address as a QR code, black on white whatever the terminal's own colours are; nothing without
/// a terminal.
fn code(address: &str, on_terminal: bool) -> Option<String> {
    if !on_terminal {
        return None;
    }
    let drawn = drawn(address)?;
    Some(drawn.lines().map(|line| format!("\x1b[30;107m{line}\x1b[0m\n")).collect())
}

fn drawn(address: &str) -> Option<String> {
    // Forty-two characters: the standard's lowest but one level of correction is plenty for a screen.
    let code = QrCode::with_error_correction_level(address, EcLevel::M).ok()?;
    Some(code.render::<Dense1x2>().build())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    /// The modules of what is drawn, true for black.
    fn modules(drawn: &str) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in drawn.lines() {
            let half = |upper: bool| -> Vec<bool> {
                let black = |c: char| match c {
                    '█' => true,
                    '▀' => upper,
                    '▄' => !upper,
                    ' ' => false,
                    other => panic!("drawn with {other}"),
                };
                line.chars().map(black).collect()
            };
            rows.push(half(true));
            rows.push(half(false));
        }
        rows
    }

    /// What is on the screen is the code itself, with its white edge: module by module.
    #[test]
    fn the_code_that_is_drawn_is_the_address() {
        let found = modules(&drawn(ADDRESS).unwrap());
        let code = QrCode::with_error_correction_level(ADDRESS, EcLevel::M).unwrap();
        let (width, edge) = (code.width(), 4);
        assert!(found.len() >= width + 2 * edge && found[0].len() == width + 2 * edge);
        for (y, row) in found.iter().enumerate() {
            for (x, black) in row.iter().enumerate() {
                let inside = (edge..edge + width).contains(&x) && (edge..edge + width).contains(&y);
                let expected = inside && code[(x - edge, y - edge)] == qrcode::Color::Dark;
                assert_eq!(*black, expected, "at {x}, {y}");
            }
        }
    }

    #[test]
    fn a_pipe_gets_no_picture_and_a_terminal_its_colours() {
        assert_eq!(code(ADDRESS, false), None);
        let shown = code(ADDRESS, true).unwrap();
        assert!(
            shown.lines().all(|line| line.starts_with("\x1b[30;107m") && line.ends_with("\x1b[0m"))
        );
    }
}
