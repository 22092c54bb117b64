//! The seal around a backup: the age format with a passphrase and nothing of our own, so that
//! `age` and `rage` open it too (<https://age-encryption.org/v1>).

use crate::error::{BackupError, Fault};
use age::secrecy::SecretString;
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use imprest_vault::{PASSPHRASE_CHARS_MIN, SecretText};
use std::io::{self, BufReader, BufWriter, Chain, Cursor, Read, Write};

/// The work a new backup's passphrase is stretched with, as the logarithm of scrypt's N: what
/// `age` itself uses, 256 MiB and about a second.
pub(crate) const WORK_FACTOR: u8 = 18;
/// The most work that is done to open one: 1 GiB and some seconds. The header that asks for it
/// comes from outside and is not authenticated before the work is done.
pub const WORK_FACTOR_MAX: u8 = 20;
/// The most bytes a header may have: one with a passphrase takes about 150.
const HEADER_MAX_BYTES: usize = 1024;
/// How much is handed to the file at a time.
const PIECE: usize = 128 * 1024;
const PASSPHRASE_MAX_BYTES: usize = 1024;
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
const ARMOR: &[u8] = b"-----BEGIN AGE";

/// A passphrase on its way to the seal; wiped when dropped, never printed.
#[derive(Clone)]
pub(crate) struct Passphrase(SecretString);

impl Passphrase {
    /// One to open a backup with.
    pub(crate) fn to_open(text: &SecretText) -> Result<Passphrase, BackupError> {
        let text = text.expose();
        if text.len() > PASSPHRASE_MAX_BYTES {
            let why = "it has more than 1024 bytes. Choose a shorter one.";
            return Err(BackupError::Passphrase { why });
        }
        // Of exactly the right size, so that no part stays behind where a longer text had been.
        Ok(Passphrase(SecretString::from(Box::<str>::from(text))))
    }

    /// One to seal a new backup with.
    pub(crate) fn to_seal(text: &SecretText) -> Result<Passphrase, BackupError> {
        if text.expose().chars().count() < PASSPHRASE_CHARS_MIN {
            let why = "it has fewer than 10 characters. Whoever finds the file can guess as often as they like, so choose a longer one.";
            return Err(BackupError::Passphrase { why });
        }
        if text.expose().chars().any(char::is_control) {
            let why = "it has a character that cannot be typed, such as a line break. Other programs could not open the backup; leave it out.";
            return Err(BackupError::Passphrase { why });
        }
        Passphrase::to_open(text)
    }
}

/// A stream on its way into the seal.
pub(crate) type Sealing<W> = StreamWriter<BufWriter<W>>;

/// Begins a sealed stream; it is whole only after [`finish`].
pub(crate) fn seal<W: Write>(
    passphrase: &Passphrase,
    work_factor: u8,
    out: W,
) -> Result<Sealing<W>, Fault> {
    let mut recipient = scrypt::Recipient::new(passphrase.0.clone());
    // The library takes 1 to 63 and ends the program for anything else.
    recipient.set_work_factor(work_factor.clamp(1, WORK_FACTOR_MAX));
    let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        .map_err(|_| Fault::damaged("the seal could not be made"))?;
    // The header fits into the buffer: written through the library, an error would lose its kind,
    // and a full disk would not be called one.
    encryptor.wrap_output(BufWriter::with_capacity(PIECE, out)).map_err(Fault::Sealing)
}

/// Ends a sealed stream, and answers what it was written into.
pub(crate) fn finish<W: Write>(sealing: Sealing<W>) -> Result<W, Fault> {
    let buffer = sealing.finish().map_err(Fault::Sealing)?;
    buffer.into_inner().map_err(|unwritten| Fault::Sealing(unwritten.into_error()))
}

/// Opens sealed streams with one passphrase.
pub(crate) struct Opener(scrypt::Identity);

/// The bytes behind a header: what was read ahead, then the rest.
pub(crate) type Rest<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

impl Opener {
    pub(crate) fn new(passphrase: Passphrase) -> Opener {
        let mut identity = scrypt::Identity::new(passphrase.0);
        identity.set_max_work_factor(WORK_FACTOR_MAX);
        Opener(identity)
    }

    /// One that does next to no work, so that a fuzzer gets on.
    pub(crate) fn light(passphrase: Passphrase) -> Opener {
        let mut opener = Opener::new(passphrase);
        opener.0.set_max_work_factor(2);
        opener
    }

    /// Reads the header and stretches the passphrase; what then comes out is authenticated, 64 KiB
    /// at a time, and whole only when it was read to its end.
    pub(crate) fn open<R: Read>(&self, input: R) -> Result<StreamReader<Rest<R>>, Fault> {
        let mut input = BufReader::new(input);
        let begin = read_begin(&mut input).map_err(Fault::reading)?;
        check_header(&begin)?;
        let decryptor =
            Decryptor::new_buffered(Cursor::new(begin).chain(input)).map_err(refusal)?;
        if !decryptor.is_scrypt() {
            return Err(Fault::NotABackup("it was sealed for a key and not with a passphrase"));
        }
        decryptor.decrypt(std::iter::once(&self.0 as &dyn age::Identity)).map_err(refusal)
    }
}

fn read_begin(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut begin = Vec::with_capacity(HEADER_MAX_BYTES);
    input.by_ref().take(HEADER_MAX_BYTES as u64).read_to_end(&mut begin)?;
    Ok(begin)
}

/// The library reads a header of any length into memory, line by line and each time from its
/// start; so its end has to be in sight first.
fn check_header(begin: &[u8]) -> Result<(), Fault> {
    if begin.starts_with(ARMOR) {
        return Err(Fault::NotABackup("it is an age file in text form; unwrap it first"));
    }
    if !begin.starts_with(MAGIC) {
        return match MAGIC.starts_with(begin) {
            true => Err(Fault::damaged("it is cut short")),
            false => Err(Fault::NotABackup("it is not an age file")),
        };
    }
    let last_line = begin.windows(5).position(|five| five == b"\n--- ");
    let ends = last_line.is_some_and(|at| begin[at + 5..].contains(&b'\n'));
    match ends {
        true => Ok(()),
        false if begin.len() < HEADER_MAX_BYTES => Err(Fault::damaged("it is cut short")),
        false => Err(Fault::NotABackup("its header is longer than that of any backup")),
    }
}

// The library's own messages are for its own programs (and one of them overflows on a hostile
// header), so each kind is worded here.
fn refusal(error: DecryptError) -> Fault {
    match error {
        DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed
        | DecryptError::NoMatchingKeys => Fault::WrongPassphrase,
        DecryptError::ExcessiveWork { required, .. } => Fault::TooMuchWork(required),
        // The first line was looked at before, so a form that is not known is a damaged one.
        DecryptError::InvalidHeader | DecryptError::InvalidMac | DecryptError::UnknownFormat => {
            Fault::damaged("its header is not as it was written")
        }
        DecryptError::Io(error) => Fault::reading(error),
        _ => Fault::NotABackup("it needs something that is not known here"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LIGHT: u8 = 1;

    pub(crate) fn passphrase(text: &str) -> Passphrase {
        Passphrase::to_open(&SecretText::new(text.into())).unwrap()
    }

    pub(crate) fn sealed(text: &str, contents: &[u8]) -> Vec<u8> {
        let mut writer = seal(&passphrase(text), LIGHT, Vec::new()).unwrap();
        writer.write_all(contents).unwrap();
        finish(writer).unwrap()
    }

    fn opened(opener: &Opener, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut contents = Vec::new();
        opener.open(bytes)?.read_to_end(&mut contents).map_err(Fault::reading)?;
        Ok(contents)
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_for_another_passphrase() {
        let bytes = sealed("correct horse", b"contents");
        let opener = Opener::new(passphrase("correct horse"));
        assert_eq!(opened(&opener, &bytes).unwrap(), b"contents");
        let other = Opener::new(passphrase("correct house"));
        assert!(matches!(opened(&other, &bytes), Err(Fault::WrongPassphrase)));
    }

    #[test]
    fn more_work_than_is_done_is_refused_before_any_is_done() {
        let opener = Opener::new(passphrase("correct horse"));
        let header = |log_n: &str| {
            let salt = "A".repeat(22);
            let (body, mac) = ("A".repeat(43), "A".repeat(43));
            format!("age-encryption.org/v1\n-> scrypt {salt} {log_n}\n{body}\n--- {mac}\n{salt}")
        };
        for log_n in ["21", "22", "63", "64", "200", "255"] {
            let started = std::time::Instant::now();
            let refused = opened(&opener, header(log_n).as_bytes());
            let asked: u8 = log_n.parse().unwrap();
            assert!(matches!(refused, Err(Fault::TooMuchWork(n)) if n == asked), "{log_n}");
            // 2^21 steps take more than that on any machine there is.
            assert!(started.elapsed().as_millis() < 500);
        }
        for log_n in ["0", "01", "-1", "e3", "256", "99999999999999999999", ""] {
            let refused = opened(&opener, header(log_n).as_bytes());
            assert!(matches!(refused, Err(Fault::Damaged(_))), "{log_n}: {refused:?}");
        }
    }

    #[test]
    fn headers_without_end_and_other_files_are_refused_unread() {
        let opener = Opener::new(passphrase("correct horse"));
        struct Endless(u64);
        impl Read for Endless {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0 += buf.len() as u64;
                assert!(self.0 < 1 << 20, "it goes on reading");
                buf.fill(b'x');
                Ok(buf.len())
            }
        }
        let endless = MAGIC.chain(&b"-> scrypt "[..]).chain(Endless(0));
        assert!(matches!(opener.open(endless), Err(Fault::NotABackup(_))));
        assert!(matches!(opener.open(Endless(0)), Err(Fault::NotABackup(_))));
        let armored = b"-----BEGIN AGE ENCRYPTED FILE-----\n";
        assert!(matches!(opened(&opener, armored), Err(Fault::NotABackup(_))));
        assert!(matches!(opened(&opener, b""), Err(Fault::Damaged(_))));
        assert!(matches!(opened(&opener, b"PK\x03\x04"), Err(Fault::NotABackup(_))));
    }

    #[test]
    fn a_file_for_a_key_is_told_apart() {
        let key = age::x25519::Identity::generate().to_public();
        let bytes = age::encrypt(&key, b"contents").unwrap();
        let opener = Opener::new(passphrase("correct horse"));
        assert!(matches!(opened(&opener, &bytes), Err(Fault::NotABackup(_))));
    }

    #[test]
    fn a_passphrase_has_bounds() {
        let seal = |text: &str| Passphrase::to_seal(&SecretText::new(text.into()));
        assert!(seal("ten chars!").is_ok() && seal("ächt größe").is_ok());
        for bad in ["", "nine char", "line\nbreak", "null\0character", &"x".repeat(1025)] {
            assert!(matches!(seal(bad), Err(BackupError::Passphrase { .. })), "{bad:?}");
        }
        // One that is too short to seal with today may still open an old file.
        assert!(Passphrase::to_open(&SecretText::new("x".into())).is_ok());
    }
}
