/// A value of a pickle: what stands there, and nothing that would have to be made by calling something.
///
/// What can hold others, or be held twice, is a number of a place in the `PickleTree`.
enum PickleValue {
  case none
  case bool(Bool)
  case integer(Int)
  /// A whole number of more than 64 bits.
  case largeInteger
  case float(Double)
  case text(String)
  case global(PickleGlobal)
  case emptySet
  case list(Int)
  case tuple(Int)
  case dict(Int)
  case storage(Int)
  case call(Int)
}

/// What a pickle holds, as a passive tree: calls are noted and never made.
struct PickleTree {
  /// A call that Python would make.
  struct Call {
    let function: PickleGlobal
    let arguments: [PickleValue]
  }

  /// A reference to the bytes of tensors: `('storage', type, key, location, count)`.
  struct Storage: Equatable {
    /// The type of the elements, or nil where they are bytes.
    let element: TorchElement?
    /// The name of the record below `data/`.
    let key: String
    /// How many elements, or bytes.
    let count: Int

    /// Whether type and count are the same; to PyTorch bytes and `uint8` are one type.
    static func == (left: Storage, right: Storage) -> Bool {
      left.count == right.count
        && (left.element?.name ?? "uint8") == (right.element?.name ?? "uint8")
    }
  }

  /// A dict in the order of its entries; no key is there twice.
  struct Dict {
    /// Whether it is an OrderedDict, which can carry attributes.
    let isOrdered: Bool
    private(set) var entries: [(key: PickleValue, value: PickleValue)] = []
    private var keys: Set<Key> = []

    /// What tells keys apart: `1` and `True` are one key in Python.
    private enum Key: Hashable {
      case integer(Int)
      case text([UInt8])
    }

    /// What can be wrong with a key.
    enum Wrong {
      case type
      case twice
    }

    init(isOrdered: Bool) { self.isOrdered = isOrdered }

    /// Appends an entry.
    ///
    /// - Returns: what is wrong with the key, or nil.
    mutating func append(_ key: PickleValue, _ value: PickleValue) -> Wrong? {
      let identity: Key
      switch key {
      case .integer(let number): identity = .integer(number)
      case .text(let text): identity = .text(Array(text.utf8))
      default: return .type
      }
      guard keys.insert(identity).inserted else { return .twice }
      entries.append((key, value))
      return nil
    }
  }

  /// The value that everything hangs on.
  var root = PickleValue.none
  var lists: [[PickleValue]] = []
  var tuples: [[PickleValue]] = []
  var dicts: [Dict] = []
  var storages: [Storage] = []
  var calls: [Call] = []

  /// The items of a tuple, or of a tuple inside a `torch.Size`; nil where it is neither.
  func items(_ value: PickleValue) -> [PickleValue]? {
    switch value {
    case .tuple(let index): return tuples[index]
    case .call(let index):
      let call = calls[index]
      guard case .size = call.function, call.arguments.count == 1,
        case .tuple(let inner) = call.arguments[0]
      else { return nil }
      return tuples[inner]
    default: return nil
    }
  }

  /// What a value is, as it stands in messages.
  func kind(of value: PickleValue) -> String {
    switch value {
    case .none: "None"
    case .bool: "a bool"
    case .integer: "an int"
    case .largeInteger: "an int of more than 64 bits"
    case .float: "a float"
    case .text: "a str"
    case .global(let global): global.name
    case .emptySet: "a set"
    case .list: "a list"
    case .tuple: "a tuple"
    case .dict: "a dict"
    case .storage: "a storage"
    case .call(let index): calls[index].function.makesTensor ? "a tensor" : "an object"
    }
  }
}
