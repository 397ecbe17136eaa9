//! The sender's programming language, as a name in JSON headers and a byte in binary ones (Java's `LanguageCode`).

macro_rules! languages {
    ($($(#[$doc:meta])+ $variant:ident = $number:literal, $name:literal;)+) => {
        /// A language that a header can name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Language {
            $($(#[$doc])+ $variant,)+
        }

        impl Language {
            /// Every language there is, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The byte that names it in a binary header.
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The text that names it in a JSON header.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Finds the language with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Finds the language with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

languages! {
    /// Java.
    Java = 0, "JAVA";
    /// C++, which gets offset resets (220) in a form of its own.
    Cpp = 1, "CPP";
    /// .NET.
    DotNet = 2, "DOTNET";
    /// Python.
    Python = 3, "PYTHON";
    /// Delphi.
    Delphi = 4, "DELPHI";
    /// Erlang.
    Erlang = 5, "ERLANG";
    /// Ruby.
    Ruby = 6, "RUBY";
    /// Any other.
    Other = 7, "OTHER";
    /// HTTP.
    Http = 8, "HTTP";
    /// Go.
    Go = 9, "GO";
    /// PHP.
    Php = 10, "PHP";
    /// OpenMessaging.
    Oms = 11, "OMS";
    /// Rust, since 4.9.
    Rust = 12, "RUST";
    /// Node.js, since 5.x.
    NodeJs = 13, "NODE_JS";
}

impl Language {
    /// What CueMQ calls itself: peers before 4.9 know no RUST and may choke on an unknown name.
    pub const CUEMQ: Self = Self::Other;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_found_by_number_and_by_name() {
        for (index, &language) in Language::ALL.iter().enumerate() {
            assert_eq!(usize::from(language.number()), index);
            assert_eq!(Language::from_number(language.number()), Some(language));
            assert_eq!(Language::from_name(language.name()), Some(language));
        }
        assert_eq!(Language::from_number(14), None);
        assert_eq!(Language::from_name("COBOL"), None);
    }
}
