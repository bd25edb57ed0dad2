import KaratBytes
import KaratTensors

/// Reads a pickle of protocol 2 into a passive tree.
///
/// It is a machine with a stack, like Python's, that cannot do anything: what it meets it takes apart
/// or notes, and what is not on its lists ends it. The rules, P01 to P14, are in `formats/pytorch.md`.
struct PickleParser {
  /// What is wrong with a pickle, and where.
  struct Fault: Error {
    let offset: Int
    let message: String
  }

  private var cursor: ByteCursor
  private(set) var tree = PickleTree()
  private var stack: [PickleValue] = []
  /// The heights of the stack at the marks that are open.
  private var marks: [Int] = []
  private var memo: [PickleValue] = []
  /// The storages by their keys: PyTorch gives each one type.
  private var storages: [UTF8Key: PickleTree.Storage] = [:]
  /// Where the operation at hand starts, and its name.
  private var start = 0
  private var operation = ""

  private static let protocolVersion: UInt8 = 2
  private static let mostMarks = 128
  private static let longestGlobal = 256

  /// Reads a pickle, all of whose bytes must belong to it.
  static func tree(of pickle: [UInt8]) throws(Fault) -> PickleTree {
    try pickle.span.withUnsafeBytes { bytes throws(Fault) in
      var parser = PickleParser(bytes)
      try parser.parse()
      return parser.tree
    }
  }

  private init(_ bytes: UnsafeRawBufferPointer) {
    cursor = ByteCursor(bytes)
  }

  private mutating func parse() throws(Fault) {
    while true {
      start = cursor.offset
      guard cursor.left > 0 else { throw fault("it ends without STOP") }
      let byte: UInt8 = try integer()
      guard let opcode = PickleOpcode(rawValue: byte) else { throw refusal(of: byte) }
      operation = opcode.name
      guard (start == 0) == (opcode == .proto) else {
        throw fault(
          "a pickle starts with PROTO and has it nowhere else; here is \(operation)"
        )
      }
      if opcode == .stop { return try finish() }
      try run(opcode)
    }
  }

  private mutating func finish() throws(Fault) {
    let root = try pop()
    guard stack.isEmpty, marks.isEmpty else {
      throw fault("STOP leaves \(stack.count) values and \(marks.count) marks behind")
    }
    guard cursor.left == 0 else {
      throw fault("\(cursor.left) bytes stand behind STOP")
    }
    tree.root = root
  }

  private mutating func run(_ opcode: PickleOpcode) throws(Fault) {
    switch opcode {
    case .proto:
      let version: UInt8 = try integer()
      guard version == Self.protocolVersion else {
        throw fault("it is of protocol \(version); torch.save writes protocol 2")
      }
    case .mark:
      guard marks.count < Self.mostMarks else {
        throw fault("more than \(Self.mostMarks) marks are open at once")
      }
      marks.append(stack.count)
    case .none: stack.append(.none)
    case .newTrue: stack.append(.bool(true))
    case .newFalse: stack.append(.bool(false))
    case .binInt: stack.append(.integer(Int(try integer(Int32.self))))
    case .binInt1: stack.append(.integer(Int(try integer(UInt8.self))))
    case .binInt2: stack.append(.integer(Int(try integer(UInt16.self))))
    case .long1: stack.append(try long())
    case .binFloat:
      stack.append(.float(Double(bitPattern: UInt64(bigEndian: try integer()))))
    case .binUnicode: stack.append(.text(try text(try integer(UInt32.self))))
    case .shortBinString: stack.append(.text(try text(try integer(UInt8.self))))
    case .emptySet: stack.append(.emptySet)
    case .emptyList: pushList()
    case .emptyDict: pushDict(isOrdered: false)
    case .emptyTuple: pushTuple([])
    case .tuple: pushTuple(try popToMark())
    case .tuple1: pushTuple([try pop()])
    case .tuple2:
      let second = try pop()
      pushTuple([try pop(), second])
    case .tuple3:
      let (third, second) = (try pop(), try pop())
      pushTuple([try pop(), second, third])
    case .append:
      let item = try pop()
      try append([item])
    case .appends: try append(try popToMark())
    case .setItem:
      let value = try pop()
      let key = try pop()
      try setItems([key, value])
    case .setItems: try setItems(try popToMark())
    case .binPut: try put(Int(try integer(UInt8.self)))
    case .longBinPut: try put(Int(try integer(UInt32.self)))
    case .binGet: try get(Int(try integer(UInt8.self)))
    case .longBinGet: try get(Int(try integer(UInt32.self)))
    case .global: try global()
    case .binPersid: try storage()
    case .reduce: try call()
    case .newObj: try newObject()
    case .build: try build()
    case .stop: break
    }
  }
}

// What the operations do.
extension PickleParser {
  private mutating func pushList() {
    stack.append(.list(tree.lists.count))
    tree.lists.append([])
  }

  private mutating func pushTuple(_ items: [PickleValue]) {
    stack.append(.tuple(tree.tuples.count))
    tree.tuples.append(items)
  }

  private mutating func pushDict(isOrdered: Bool) {
    stack.append(.dict(tree.dicts.count))
    tree.dicts.append(PickleTree.Dict(isOrdered: isOrdered))
  }

  private mutating func append(_ items: [PickleValue]) throws(Fault) {
    let target = try top()
    guard case .list(let index) = target else {
      throw fault("\(operation) needs a list to append to; here is \(tree.kind(of: target))")
    }
    tree.lists[index].append(contentsOf: items)
  }

  /// Sets keys and values that stand one behind the other.
  private mutating func setItems(_ items: [PickleValue]) throws(Fault) {
    let target = try top()
    guard case .dict(let index) = target else {
      throw fault("\(operation) needs a dict to set items of; here is \(tree.kind(of: target))")
    }
    guard items.count % 2 == 0 else { throw fault("\(operation) has a key without a value") }
    for place in stride(from: 0, to: items.count, by: 2) {
      switch tree.dicts[index].append(items[place], items[place + 1]) {
      case .type:
        throw fault("a key is \(tree.kind(of: items[place])); a str or an int was needed")
      case .twice: throw fault("a dict has one key twice")
      case nil: break
      }
    }
  }

  /// Remembers the value at the top.
  ///
  /// Python's writers number values as they come; only so is it sure that no number is given twice.
  private mutating func put(_ number: Int) throws(Fault) {
    guard number == memo.count else {
      throw fault("\(operation) gives the number \(number); the next one is \(memo.count)")
    }
    memo.append(try top())
  }

  private mutating func get(_ number: Int) throws(Fault) {
    guard number < memo.count else {
      throw fault("\(operation) asks for value \(number); \(memo.count) were remembered")
    }
    stack.append(memo[number])
  }

  private mutating func global() throws(Fault) {
    let (module, name) = (try line(), try line())
    guard let global = PickleGlobal.known["\(module) \(name)"] else {
      throw fault(
        "it names \(TensorName(module + "." + name).quoted), which a list of tensors does not need."
          + " Nothing of a pickle is ever run; save the state_dict by itself, or convert it to"
          + " safetensors where you trust it"
      )
    }
    stack.append(.global(global))
  }

  private mutating func storage() throws(Fault) {
    let identifier = try pop()
    guard case .tuple(let index) = identifier, tree.tuples[index].count == 5,
      case .text("storage") = tree.tuples[index][0],
      case .global(.storage(let element)) = tree.tuples[index][1],
      case .text(let key) = tree.tuples[index][2],
      case .text = tree.tuples[index][3],
      case .integer(let count) = tree.tuples[index][4], count >= 0
    else {
      throw fault("BINPERSID needs ('storage', type, key, location, count)")
    }
    let storage = PickleTree.Storage(element: element, key: key, count: count)
    guard storages.updateValue(storage, forKey: UTF8Key(key)) ?? storage == storage else {
      throw fault("storage \(TensorName(key).quoted) is there with two types or counts")
    }
    stack.append(.storage(tree.storages.count))
    tree.storages.append(storage)
  }

  private mutating func call() throws(Fault) {
    let (arguments, function) = (try pop(), try pop())
    guard case .global(let global) = function, global.isCallable else {
      throw fault("REDUCE needs a function that is known; here is \(tree.kind(of: function))")
    }
    guard case .tuple(let index) = arguments else {
      throw fault("REDUCE needs a tuple of arguments; here is \(tree.kind(of: arguments))")
    }
    guard global == .orderedDict else {
      stack.append(.call(tree.calls.count))
      tree.calls.append(.init(function: global, arguments: tree.tuples[index]))
      return
    }
    guard tree.tuples[index].isEmpty else {
      throw fault("an OrderedDict is made without arguments")
    }
    pushDict(isOrdered: true)
  }

  private mutating func newObject() throws(Fault) {
    let (arguments, type) = (try pop(), try pop())
    guard case .global(.orderedDict) = type, case .tuple(let index) = arguments,
      tree.tuples[index].isEmpty
    else {
      throw fault("NEWOBJ makes an OrderedDict without arguments and nothing else")
    }
    pushDict(isOrdered: true)
  }

  /// Attributes of an OrderedDict, such as a state_dict's `_metadata`, hold no tensors of its own and
  /// are left out.
  private mutating func build() throws(Fault) {
    let (state, target) = (try pop(), try top())
    guard case .dict(let index) = target, tree.dicts[index].isOrdered else {
      throw fault(
        "BUILD needs an OrderedDict to give attributes to; here is \(tree.kind(of: target))"
      )
    }
    guard case .dict = state else {
      throw fault("BUILD needs a dict of attributes; here is \(tree.kind(of: state))")
    }
  }
}

// The stack and the bytes.
extension PickleParser {
  /// Where the stack ends downwards: at the last mark.
  private var floor: Int { marks.last ?? 0 }

  private func top() throws(Fault) -> PickleValue {
    guard stack.count > floor, let value = stack.last else {
      throw fault("\(operation) needs a value that is not on the stack")
    }
    return value
  }

  private mutating func pop() throws(Fault) -> PickleValue {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func popToMark() throws(Fault) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw fault("\(operation) needs a mark") }
    let items = Array(stack[mark...])
    stack.removeLast(stack.count - mark)
    return items
  }

  private mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self
  ) throws(Fault) -> T {
    do throws(ByteCursor.Truncation) {
      return try cursor.integer()
    } catch {
      throw truncated()
    }
  }

  private mutating func run(_ count: some FixedWidthInteger) throws(Fault) -> UnsafeRawBufferPointer
  {
    do throws(ByteCursor.Truncation) {
      return try cursor.run(UInt64(count))
    } catch {
      throw truncated()
    }
  }

  private mutating func text(_ count: some FixedWidthInteger) throws(Fault) -> String {
    guard let text = String(validating: try run(count), as: UTF8.self) else {
      throw fault("\(operation) holds bytes that are not UTF-8")
    }
    return text
  }

  /// A whole number of up to 255 bytes in two's complement.
  private mutating func long() throws(Fault) -> PickleValue {
    let bytes = try run(try integer(UInt8.self))
    guard bytes.count <= 8 else { return .largeInteger }
    guard let last = bytes.last else { return .integer(0) }
    let sign = last < 0x80 ? 0 : -1
    return .integer(bytes.reversed().reduce(sign) { $0 << 8 | Int($1) })
  }

  private mutating func line() throws(Fault) -> String {
    var bytes: [UInt8] = []
    while true {
      let byte: UInt8 = try integer()
      guard byte != UInt8(ascii: "\n") else { break }
      guard bytes.count < Self.longestGlobal else {
        throw fault("GLOBAL holds a name of more than \(Self.longestGlobal) bytes")
      }
      bytes.append(byte)
    }
    guard bytes.allSatisfy({ $0 < 0x80 }), let text = String(validating: bytes, as: UTF8.self)
    else { throw fault("GLOBAL holds a name that is not ASCII") }
    return text
  }

  private func fault(_ message: String) -> Fault { Fault(offset: start, message: message + ".") }

  private func truncated() -> Fault { fault("\(operation) is cut off") }

  private func refusal(of byte: UInt8) -> Fault {
    let name = PickleOpcode.refused[byte] ?? "0x" + String(byte, radix: 16)
    return fault(
      "the operation \(name) is not among those that torch.save writes. Save it again with"
        + " torch.save and its own pickle protocol, 2"
    )
  }
}
