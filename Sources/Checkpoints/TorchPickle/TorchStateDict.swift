import KaratBytes
import KaratTensors

/// The tensors of a pickle under their names.
///
/// A tensor's name is the path of keys that leads to it, joined by dots; places in lists and tuples
/// are numbers. Where the root holds no tensor of its own and one of `wrappers`, that dict is meant:
/// its name is left out, and what else a training script keeps at the root is not read.
struct TorchStateDict {
  /// The tensors in the order of the pickle.
  private(set) var tensors: [(name: TensorName, tensor: TorchTensor)] = []
  /// What is there and is no tensor that is given out, by its path: epochs, `None`s, an optimizer.
  private(set) var others: [TensorName] = []

  private let tree: PickleTree
  private let archive: TorchArchive
  private var names: Set<TensorName> = []
  private var content = TorchContent()
  /// The containers that were gone through, so that none is a second time.
  private var visited: Set<TorchContainer> = []

  /// The names under which training scripts save a model's state_dict beside other things.
  static let wrappers = ["state_dict", "model_state_dict", "model", "module"]
  /// How the names of those other things start.
  static let companions = [
    "optim", "sched", "lr_sched", "scaler", "grad_scaler", "amp", "rng", "random", "callbacks",
    "loops",
  ]
  private static let longestName = 512

  /// Finds the tensors.
  init(_ tree: PickleTree, in archive: TorchArchive) throws(TorchFault) {
    self.tree = tree
    self.archive = archive
    guard case .dict(let root) = tree.root else {
      throw .unsupported(
        "its root is \(tree.kind(of: tree.root)); a dict of tensors was needed. Save a state_dict."
      )
    }
    let entries = tree.dicts[root].entries
    for (_, value) in entries { _ = try content.holdsTensor(value, of: tree) }
    guard let wrapped = try wrapped(in: entries) else {
      try walk(tree.root, path: nil)
      return
    }
    for (key, value) in entries where try Self.text(of: key, below: nil) != wrapped.name {
      others.append(try name(key, below: nil))
      guard try content.holdsTensor(value, of: tree) else { continue }
      let name = try Self.text(of: key, below: nil)
      guard Self.companions.contains(where: { name.hasPrefix($0) }) else {
        throw .unsupported(
          "the root holds '\(wrapped.name)' and other tensors below \(TensorName(name).quoted)."
            + " Save what is meant by itself."
        )
      }
    }
    try walk(wrapped.value, path: nil)
  }

  /// The one dict at the root that is the model, or nil where the root is.
  private mutating func wrapped(
    in entries: [(key: PickleValue, value: PickleValue)]
  ) throws(TorchFault) -> (name: String, value: PickleValue)? {
    var found: [(name: String, value: PickleValue)] = []
    for (key, value) in entries {
      if case .call(let index) = value, tree.calls[index].function.makesTensor { return nil }
      guard case .text(let name) = key, Self.wrappers.contains(name), case .dict = value,
        try content.holdsTensor(value, of: tree)
      else { continue }
      found.append((name, value))
    }
    guard found.count > 1 else { return found.first }
    throw .unsupported(
      "the root holds both '\(found[0].name)' and '\(found[1].name)'. Save what is meant by itself."
    )
  }

  private mutating func walk(_ value: PickleValue, path: String?) throws(TorchFault) {
    switch value {
    case .dict(let index):
      guard try enters(.dict(index), value, path) else { return }
      for (key, value) in tree.dicts[index].entries {
        try walk(value, path: try name(key, below: path).text)
      }
    case .list(let index):
      guard try enters(.list(index), value, path) else { return }
      try walk(tree.lists[index], path)
    case .tuple(let index):
      guard try enters(.tuple(index), value, path) else { return }
      try walk(tree.tuples[index], path)
    case .call(let index) where tree.calls[index].function.makesTensor:
      try add(tree.calls[index], TensorName(path ?? ""))
    case .call where try content.holdsTensor(value, of: tree):
      throw .unsupported(
        "it is \(tree.kind(of: value)) with tensors in it, which are not read.",
        tensor: TensorName(path ?? "")
      )
    default: others.append(TensorName(path ?? ""))
    }
  }

  private mutating func walk(_ items: [PickleValue], _ path: String?) throws(TorchFault) {
    for (place, item) in items.enumerated() {
      try walk(item, path: try name(.integer(place), below: path).text)
    }
  }

  /// Whether a container is gone into: those without tensors are not.
  private mutating func enters(
    _ container: TorchContainer,
    _ value: PickleValue,
    _ path: String?
  ) throws(TorchFault) -> Bool {
    guard try content.holdsTensor(value, of: tree) else {
      if let path { others.append(TensorName(path)) }
      return false
    }
    // One object at two places could hold others twice, and so on: few bytes, endless names.
    guard visited.insert(container).inserted else {
      throw .unsupported(
        "\(tree.kind(of: value)) with tensors is there twice, as one object. Save copies, or one of them.",
        tensor: TensorName(path ?? "")
      )
    }
    return true
  }

  private mutating func add(
    _ call: PickleTree.Call,
    _ name: TensorName
  ) throws(TorchFault) {
    guard names.insert(name).inserted else {
      throw .malformed("two tensors come by this name.", tensor: name)
    }
    do throws(TorchFault) {
      tensors.append((name, try TorchTensor(call, of: tree, in: archive)))
    } catch {
      throw TorchFault(kind: error.kind, tensor: name, message: error.message)
    }
  }

  private func name(_ key: PickleValue, below path: String?) throws(TorchFault) -> TensorName {
    let name = TensorName(try Self.text(of: key, below: path))
    guard name.text.utf8.count <= Self.longestName, !name.text.utf8.contains(0) else {
      throw .malformed(
        "a name has \(name.text.utf8.count) bytes; at most \(Self.longestName) without a zero byte"
          + " are allowed."
      )
    }
    return name
  }

  private static func text(of key: PickleValue, below path: String?) throws(TorchFault) -> String {
    let text =
      switch key {
      case .text(let text): text
      case .integer(let number): String(number)
      default: throw .malformed("a key is neither a str nor an int.")
      }
    return path.map { $0 + "." + text } ?? text
  }
}

/// Something that holds values, by its place in the `PickleTree`.
enum TorchContainer: Hashable {
  case list(Int)
  case tuple(Int)
  case dict(Int)
  case call(Int)
}

/// Which containers hold tensors, at any depth.
struct TorchContent {
  private var known: [TorchContainer: Bool] = [:]
  private var open: Set<TorchContainer> = []

  private static let deepest = 64

  /// Whether a value is a tensor or holds one; every container is gone through once.
  mutating func holdsTensor(_ value: PickleValue, of tree: PickleTree) throws(TorchFault) -> Bool {
    let container: TorchContainer
    switch value {
    case .list(let index): container = .list(index)
    case .tuple(let index): container = .tuple(index)
    case .dict(let index): container = .dict(index)
    case .call(let index):
      guard !tree.calls[index].function.makesTensor else { return true }
      container = .call(index)
    default: return false
    }
    if let known = known[container] { return known }
    guard open.insert(container).inserted else { throw .malformed("an object holds itself.") }
    guard open.count <= Self.deepest else {
      throw .malformed("objects lie more than \(Self.deepest) deep in one another.")
    }
    defer { open.remove(container) }
    var holds = false
    switch container {
    case .list(let index): for item in tree.lists[index] { try add(item) }
    case .tuple(let index): for item in tree.tuples[index] { try add(item) }
    case .call(let index): for item in tree.calls[index].arguments { try add(item) }
    case .dict(let index): for entry in tree.dicts[index].entries { try add(entry.value) }
    }
    func add(_ item: PickleValue) throws(TorchFault) {
      if try holdsTensor(item, of: tree) { holds = true }
    }
    known[container] = holds
    return holds
  }
}
