//! Which feature map predicts which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encoder::{Scale, side_of};
use crate::{Error, Result};

/// One prediction task: a source vector of one view scores every location of the other view's target map.
///
/// The source is the global vector, or one random location of a local map. Written as the sides of both maps: `1->5`
/// is global to 5x5, `5->7` one random 5x5 location to 7x7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Term {
    source: Scale,
    target: Scale,
}

impl Term {
    /// The task of predicting a map with `target` rows from one with `source` rows; both at least 1.
    pub const fn new(source: usize, target: usize) -> Self {
        Self { source: Scale::new(source), target: Scale::new(target) }
    }

    /// Scale of the source vector.
    pub fn source(self) -> Scale {
        self.source
    }

    /// Scale of the target map.
    pub fn target(self) -> Scale {
        self.target
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.source.side(), self.target.side())
    }
}

impl FromStr for Term {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let sides =
            text.split_once("->").and_then(|(source, target)| Some((side_of(source)?, side_of(target)?)));
        match sides {
            Some((source, target)) => Ok(Self::new(source, target)),
            None => {
                Err(Error::argument("objective.terms", "SOURCE->TARGET, sides of two maps, e.g. 1->5", text))
            }
        }
    }
}

impl From<Term> for String {
    fn from(term: Term) -> Self {
        term.to_string()
    }
}

impl TryFrom<String> for Term {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_as_they_are_written() {
        for (text, source, target) in [("1->5", 1, 5), ("5->7", 5, 7), ("16->8", 16, 8), ("1->1", 1, 1)] {
            let term: Term = serde_json::from_str(&format!("{text:?}")).unwrap();
            assert_eq!((term.source().side(), term.target().side()), (source, target));
            assert_eq!(serde_json::to_string(&term).unwrap(), format!("{text:?}"));
        }
        for bad in ["", "1", "1->", "->5", "0->5", "01->5", "1 -> 5", "1->5->7", "1-5", "1->99999"] {
            assert_eq!(bad.parse::<Term>().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT", "{bad}");
        }
    }
}
