//! The machine that reads a pickle.

use std::collections::HashMap;

use thiserror::Error;

use super::objects::{Global, Id, Object, Pickle, Storage, StoredTensor};
use crate::tensor::View;

/// Most objects that a pickle may make. A checkpoint of a thousand tensors makes some 20,000.
pub const MAX_OBJECTS: usize = 1 << 20;

/// Bytes of a storage's name, dimensions of a tensor: both are copied whenever a short opcode asks for it, so that without
/// a limit a small file could ask for any memory. PyTorch has numbers for names, and 64 dimensions at most.
const MAX_KEY_BYTES: usize = 256;
const MAX_DIMENSIONS: usize = 64;

/// Why a pickle is refused. `at` counts bytes from the start of the pickle's file or entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PickleError {
    /// An opcode that no `state_dict` needs.
    #[error("opcode 0x{opcode:02x} at byte {at} is none of those that a dictionary of tensors needs")]
    Opcode {
        /// The opcode.
        opcode: u8,
        /// Where it is.
        at: usize,
    },
    /// A name beyond those of [`Global`]. It is not looked up, let alone called.
    #[error(
        "the name {module}.{name} at byte {at} is none of those that a dictionary of tensors needs; \
         a file that asks for it may run code where it is unpickled"
    )]
    Name {
        /// Python module.
        module: String,
        /// Name in it.
        name: String,
        /// Where it is.
        at: usize,
    },
    /// A known opcode on objects that it doesn't fit.
    #[error("opcode 0x{opcode:02x} at byte {at}: expected {expected}")]
    Operand {
        /// The opcode.
        opcode: u8,
        /// Where it is.
        at: usize,
        /// What it needs.
        expected: &'static str,
    },
    /// The pickle ends before its last opcode.
    #[error("it ends at byte {at} in the middle; the file may be truncated")]
    Truncated {
        /// Where it ends.
        at: usize,
    },
    /// Another protocol than 2.
    #[error("protocol 2 expected, {0} found; save the file with torch.save's default protocol")]
    Protocol(u8),
    /// More objects than [`MAX_OBJECTS`].
    #[error("it makes more than {MAX_OBJECTS} objects")]
    TooManyObjects,
}

type Result<T> = std::result::Result<T, PickleError>;

/// Reads the pickle that begins at `start`; returns it and the byte after it.
///
/// # Errors
/// [`PickleError`]; nothing of the pickle has been acted upon.
pub fn parse(bytes: &[u8], start: usize) -> Result<(Pickle, usize)> {
    let mut machine = Machine {
        bytes,
        at: start,
        opcode: 0,
        opcode_at: start,
        objects: vec![],
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
    };
    loop {
        if let Some(root) = machine.step()? {
            return Ok((Pickle { objects: machine.objects, root }, machine.at));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The opcode under way and its place, for errors.
    opcode: u8,
    opcode_at: usize,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack at each MARK.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    /// Does one opcode; returns the root at STOP.
    fn step(&mut self) -> Result<Option<Id>> {
        self.opcode_at = self.at;
        [self.opcode] = self.take()?;
        match self.opcode {
            // PROTO
            0x80 => match self.take()? {
                [2] => {}
                [other] => return Err(PickleError::Protocol(other)),
            },
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            // BININT1, BININT2, BININT, LONG1
            b'K' => {
                let [value] = self.take()?;
                self.push(Object::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()))?;
            }
            0x8a => self.long()?,
            // BINFLOAT
            b'G' => {
                let value = f64::from_be_bytes(self.take()?);
                self.push(Object::Float(value))?;
            }
            // BINUNICODE; SHORT_BINSTRING and BINSTRING are Python 2's.
            b'X' | b'T' => {
                let len = u32::from_le_bytes(self.take()?);
                self.text(len as usize)?;
            }
            b'U' => {
                let [len] = self.take()?;
                self.text(len.into())?;
            }
            // EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE
            b'}' => self.push(Object::Dict(vec![]))?,
            b']' => self.push(Object::List(vec![]))?,
            b')' => self.push(Object::Tuple(vec![]))?,
            // TUPLE1, TUPLE2, TUPLE3, TUPLE
            0x85..=0x87 => {
                let len = usize::from(self.opcode - 0x84);
                let from =
                    self.stack.len().checked_sub(len).ok_or_else(|| self.misfit("more on the stack"))?;
                self.tuple(from)?;
            }
            b't' => {
                let from = self.mark()?;
                self.tuple(from)?;
            }
            // APPEND, APPENDS, SETITEM, SETITEMS
            b'a' => {
                let from = self.stack.len().saturating_sub(1);
                self.append(from)?;
            }
            b'e' => {
                let from = self.mark()?;
                self.append(from)?;
            }
            b's' => {
                let from = self.stack.len().saturating_sub(2);
                self.set_items(from)?;
            }
            b'u' => {
                let from = self.mark()?;
                self.set_items(from)?;
            }
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' => {
                let [index] = self.take()?;
                self.put(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.take()?);
                self.put(index)?;
            }
            b'h' => {
                let [index] = self.take()?;
                self.fetch(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.take()?);
                self.fetch(index)?;
            }
            b'c' => self.global()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            // BINPERSID
            b'Q' => self.persistent()?,
            opcode => return Err(PickleError::Opcode { opcode, at: self.opcode_at }),
        }
        Ok(None)
    }

    fn misfit(&self, expected: &'static str) -> PickleError {
        PickleError::Operand { opcode: self.opcode, at: self.opcode_at, expected }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk());
        let taken = *rest.ok_or(PickleError::Truncated { at: self.bytes.len() })?;
        self.at += N;
        Ok(taken)
    }

    fn push(&mut self, object: Object) -> Result<()> {
        if self.objects.len() == MAX_OBJECTS {
            return Err(PickleError::TooManyObjects);
        }
        self.objects.push(object);
        self.place(Id(self.objects.len() - 1))
    }

    fn place(&mut self, id: Id) -> Result<()> {
        // A memo may put one object on the stack without end.
        if self.stack.len() == MAX_OBJECTS {
            return Err(PickleError::TooManyObjects);
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id> {
        // What lies under a MARK belongs to whoever closes it.
        if self.marks.last().is_some_and(|&mark| mark == self.stack.len()) {
            return Err(self.misfit("an object above the mark"));
        }
        self.stack.pop().ok_or_else(|| self.misfit("more on the stack"))
    }

    fn mark(&mut self) -> Result<usize> {
        self.marks.pop().ok_or_else(|| self.misfit("a mark on the stack"))
    }

    /// Takes what is on the stack from a height on; no mark is ever left above the stack.
    fn split(&mut self, from: usize) -> Result<Vec<Id>> {
        if self.marks.last().is_some_and(|&mark| mark > from) {
            return Err(self.misfit("an object above the mark"));
        }
        Ok(self.stack.split_off(from))
    }

    fn top(&self) -> Result<usize> {
        self.stack.last().map(|id| id.0).ok_or_else(|| self.misfit("more on the stack"))
    }

    fn long(&mut self) -> Result<()> {
        let [len] = self.take()?;
        let mut value = [0_u8; 16];
        for byte in value.iter_mut().take(len.into()) {
            [*byte] = self.take()?;
        }
        if len > 16 {
            return Err(self.misfit("an integer of at most 16 bytes"));
        }
        if len > 0 && value[usize::from(len) - 1] & 0x80 != 0 {
            value[len.into()..].fill(0xff);
        }
        self.push(Object::Int(i128::from_le_bytes(value)))
    }

    fn text(&mut self, len: usize) -> Result<()> {
        let end = self.at.saturating_add(len);
        let bytes = self.bytes.get(self.at..end).ok_or(PickleError::Truncated { at: self.bytes.len() })?;
        let text = str::from_utf8(bytes).map_err(|_| self.misfit("a text in UTF-8"))?.to_owned();
        self.at = end;
        self.push(Object::Text(text))
    }

    fn tuple(&mut self, from: usize) -> Result<()> {
        let items = self.split(from)?;
        self.push(Object::Tuple(items))
    }

    fn append(&mut self, from: usize) -> Result<()> {
        let items = self.split(from)?;
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::List(list) => list.extend(items),
            _ => return Err(self.misfit("a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, from: usize) -> Result<()> {
        let items = self.split(from)?;
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::Dict(entries) if items.len().is_multiple_of(2) => {
                entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err(self.misfit("a dictionary and pairs of keys and values")),
        }
        Ok(())
    }

    fn put(&mut self, index: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(index, Id(top));
        Ok(())
    }

    fn fetch(&mut self, index: u32) -> Result<()> {
        let id = *self.memo.get(&index).ok_or_else(|| self.misfit("a memo that was put before"))?;
        self.place(id)
    }

    fn global(&mut self) -> Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        match Global::find(&module, &name) {
            Some(global) => self.push(Object::Global(global)),
            None => Err(PickleError::Name { module, name, at: self.opcode_at }),
        }
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let truncated = PickleError::Truncated { at: self.bytes.len() };
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or(truncated)?;
        self.at += len + 1;
        // A name is short; a longer text is cut for the message.
        Ok(String::from_utf8_lossy(&rest[..len.min(200)]).into_owned())
    }

    /// Calls a constructor: an empty `OrderedDict`, or a tensor of a storage.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Object::Tuple(arguments) = &self.objects[arguments.0] else {
            return Err(self.misfit("a tuple of arguments"));
        };
        let made = match &self.objects[function.0] {
            Object::Global(Global::OrderedDict) if arguments.is_empty() => Object::Dict(vec![]),
            Object::Global(Global::RebuildTensor) => Object::Tensor(self.tensor(arguments)?),
            _ => return Err(self.misfit("an empty OrderedDict, or _rebuild_tensor_v2")),
        };
        self.push(made)
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks, ...)`.
    fn tensor(&self, arguments: &[Id]) -> Result<StoredTensor> {
        let refused = || self.misfit("the arguments of _rebuild_tensor_v2");
        let [storage, offset, shape, strides, ..] = arguments else { return Err(refused()) };
        let Object::Storage(storage) = &self.objects[storage.0] else { return Err(refused()) };
        let view = View {
            offset: self.size(*offset).ok_or_else(refused)?,
            shape: self.sizes(*shape).ok_or_else(refused)?,
            strides: self.sizes(*strides).ok_or_else(refused)?,
        };
        Ok(StoredTensor { storage: storage.clone(), view })
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.objects[id.0] {
            Object::Int(value) => usize::try_from(value).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match &self.objects[id.0] {
            Object::Tuple(items) if items.len() <= MAX_DIMENSIONS => {
                items.iter().map(|&item| self.size(item)).collect()
            }
            _ => None,
        }
    }

    /// Sets attributes: an `OrderedDict` of a module has `_metadata`, versions of its parts, which nothing here needs.
    fn build(&mut self) -> Result<()> {
        let attributes = self.pop()?;
        let top = self.top()?;
        match (&self.objects[top], &self.objects[attributes.0]) {
            (Object::Dict(_), Object::Dict(_)) => Ok(()),
            _ => Err(self.misfit("a dictionary with attributes")),
        }
    }

    /// A storage: `('storage', class, key, location, length)`, in legacy files with a sixth part, which is None.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let refused = || self.misfit("a tuple that names a storage");
        let Object::Tuple(parts) = &self.objects[id.0] else { return Err(refused()) };
        let parts: Vec<&Object> = parts.iter().map(|part| &self.objects[part.0]).collect();
        let [
            Object::Text(kind),
            Object::Global(Global::Storage(element)),
            Object::Text(key),
            Object::Text(_),
            Object::Int(len),
            rest @ ..,
        ] = parts.as_slice()
        else {
            return Err(refused());
        };
        if kind != "storage" || !matches!(rest, [] | [Object::None]) {
            return Err(refused());
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(self.misfit("a storage with a short name"));
        }
        let len = usize::try_from(*len).map_err(|_| refused())?;
        let storage = Storage { key: key.clone(), element: *element, len };
        self.push(Object::Storage(storage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pickle: &[u8]) -> PickleError {
        parse(pickle, 0).unwrap_err()
    }

    #[test]
    fn plain_values_are_read() {
        // pickle.dumps({'a': [1, -2, 300, 2**40, 1.5, None, True], 'b': ('x',)}, protocol=2)
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x2c\x01\x8a\x06\x00\x00\
                      \x00\x00\x00\x01G\x3f\xf8\x00\x00\x00\x00\x00\x00N\x88eX\x01\x00\x00\x00bq\x03X\x01\x00\x00\
                      \x00xq\x04\x85q\x05u.";
        let (pickle, end) = parse(bytes, 0).unwrap();
        assert_eq!(end, bytes.len());
        let Object::List(items) = pickle.get(pickle.entry(pickle.root(), "a").unwrap()) else { panic!() };
        let values: Vec<_> = items.iter().map(|&id| pickle.get(id).clone()).collect();
        let int = Object::Int;
        assert_eq!(values[..4], [int(1), int(-2), int(300), int(1 << 40)]);
        assert_eq!(values[4..], [Object::Float(1.5), Object::None, Object::Bool(true)]);
        assert!(
            matches!(pickle.get(pickle.entry(pickle.root(), "b").unwrap()), Object::Tuple(parts) if parts.len() == 1)
        );
        assert_eq!(pickle.entry(pickle.root(), "c"), None);
    }

    #[test]
    fn names_that_act_are_refused_before_they_are_called() {
        // os.system('true'), as a pickle calls it.
        let error = refused(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.");
        assert_eq!(error, PickleError::Name { module: "os".into(), name: "system".into(), at: 2 });
        assert!(matches!(refused(b"\x80\x02ctorch\nload\n."), PickleError::Name { at: 2, .. }));
        // INST, OBJ, NEWOBJ, STACK_GLOBAL, EXT1: other ways to call something.
        for opcode in [b'i', b'o', 0x81, 0x93, 0x82, b'P', b'S', b'I', 0x95] {
            assert_eq!(refused(&[0x80, 2, opcode, b'.']), PickleError::Opcode { opcode, at: 2 });
        }
        // A known name called in another way.
        assert!(matches!(
            refused(b"\x80\x02ccollections\nOrderedDict\nN\x85R."),
            PickleError::Operand { opcode: b'R', .. }
        ));
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes =
            b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01M\x2c\x01ecollections\nOrderedDict\n)Ru.";
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len], 0).is_err(), "{len}");
        }
    }

    #[test]
    fn hostile_programs_end_with_an_error() {
        assert_eq!(refused(&[0x80, 4, b'N', b'.']), PickleError::Protocol(4));
        assert!(matches!(refused(b"\x80\x02X\xff\xff\xff\xffa."), PickleError::Truncated { .. }));
        assert!(matches!(refused(b"\x80\x02h\x07."), PickleError::Operand { opcode: b'h', .. }));
        assert!(matches!(refused(b"\x80\x02N(R."), PickleError::Operand { .. }));
        assert!(matches!(refused(b"\x80\x02u."), PickleError::Operand { .. }));
        assert!(matches!(refused(b"\x80\x02(s."), PickleError::Operand { .. }));
        assert!(matches!(refused(b"\x80\x02}NN(st."), PickleError::Operand { .. }));
        assert!(matches!(refused(b"\x80\x02NN(\x86t."), PickleError::Operand { .. }));
        // What is copied at every use is short.
        let storage = |key_len: usize| {
            let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
            let class = b"ctorch\nFloatStorage\n".to_vec();
            let names = [text("storage"), class, text(&"k".repeat(key_len)), text("cpu")].concat();
            [b"(".to_vec(), names, b"K\x01tQ".to_vec()].concat()
        };
        let tensor = |key_len: usize, dimensions: usize| {
            let sizes = [b"(".to_vec(), b"K\x01".repeat(dimensions), b"t".to_vec()].concat();
            let arguments = [storage(key_len), b"K\x00".to_vec(), sizes.clone(), sizes].concat();
            let call = [b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec(), arguments, b"\x89NtR.".to_vec()];
            [b"\x80\x02".to_vec(), call.concat()].concat()
        };
        assert!(parse(&tensor(MAX_KEY_BYTES, MAX_DIMENSIONS), 0).is_ok());
        assert!(matches!(refused(&tensor(MAX_KEY_BYTES + 1, 1)), PickleError::Operand { opcode: b'Q', .. }));
        assert!(matches!(refused(&tensor(1, MAX_DIMENSIONS + 1)), PickleError::Operand { opcode: b'R', .. }));
        let endless = [b"\x80\x02".to_vec(), vec![b'N'; MAX_OBJECTS + 1]].concat();
        assert_eq!(refused(&endless), PickleError::TooManyObjects);
        let repeated = [b"\x80\x02Nq\x00".to_vec(), b"h\x00".repeat(MAX_OBJECTS)].concat();
        assert_eq!(refused(&repeated), PickleError::TooManyObjects);
        // A dictionary in itself is no problem for who does not walk it.
        let (pickle, _) = parse(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", 0).unwrap();
        assert_eq!(pickle.entry(pickle.root(), "a"), Some(pickle.root()));
    }
}
