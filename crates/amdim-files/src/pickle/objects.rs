//! What a parsed pickle holds.

use crate::tensor::{Element, View};

/// A name that a pickle may use: what a `state_dict` is made of, and nothing that acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensor,
    /// A storage class of torch, such as `torch.FloatStorage`.
    Storage(Element),
}

impl Global {
    /// The name as a pickle has it, if it is one of these.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch", storage) => {
                let known = Self::STORAGES.iter().find(|(_, name)| *name == storage);
                known.map(|&(element, _)| Self::Storage(element))
            }
            _ => None,
        }
    }

    /// Module and name.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::OrderedDict => ("collections", "OrderedDict"),
            Self::RebuildTensor => ("torch._utils", "_rebuild_tensor_v2"),
            Self::Storage(element) => {
                let known = Self::STORAGES.iter().find(|(known, _)| *known == element);
                ("torch", known.map_or("", |&(_, name)| name))
            }
        }
    }

    const STORAGES: [(Element, &str); 10] = [
        (Element::F32, "FloatStorage"),
        (Element::F64, "DoubleStorage"),
        (Element::F16, "HalfStorage"),
        (Element::Bf16, "BFloat16Storage"),
        (Element::I64, "LongStorage"),
        (Element::I32, "IntStorage"),
        (Element::I16, "ShortStorage"),
        (Element::I8, "CharStorage"),
        (Element::U8, "ByteStorage"),
        (Element::Bool, "BoolStorage"),
    ];
}

/// A block of numbers that lies outside the pickle; several tensors may share it. Its device (`cpu`, `cuda:0`) is not
/// kept: the numbers are in the file either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Its name in the file.
    pub key: String,
    /// Type of its elements.
    pub element: Element,
    /// Number of its elements.
    pub len: usize,
}

/// A tensor as a view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    /// The storage.
    pub storage: Storage,
    /// Which of its elements.
    pub view: View,
}

/// An object of a [`Pickle`].
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of up to 16 bytes.
    Int(i128),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary in the order in which it was filled; a key that comes twice means its last value.
    Dict(Vec<(Id, Id)>),
    /// A name.
    Global(Global),
    /// A storage.
    Storage(Storage),
    /// A tensor.
    Tensor(StoredTensor),
}

/// Names an [`Object`] of a [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub(super) usize);

/// The objects of a pickle. They refer to each other by [`Id`], so that sharing and cycles cost nothing and nobody
/// has to walk them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pickle {
    pub(super) objects: Vec<Object>,
    pub(super) root: Id,
}

impl Pickle {
    /// What the pickle is of.
    pub fn root(&self) -> Id {
        self.root
    }

    /// An object.
    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id.0]
    }

    /// Every storage that the pickle names.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// The value of a text key of a dictionary.
    pub fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let Object::Dict(entries) = self.get(dict) else { return None };
        entries
            .iter()
            .rev()
            .find(|(k, _)| matches!(self.get(*k), Object::Text(text) if text == key))
            .map(|e| e.1)
    }
}
