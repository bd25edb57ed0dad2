/// Turns a pattern's tree into a program.
///
/// No loop of the program can go round without consuming: a repetition of something that can be
/// empty is compiled as one of its non-empty matches. So every state is reached once a position,
/// which is what bounds the memoized matcher.
struct PatternCompiler {
  private var program = PatternProgram()
  private var setIndices: [ScalarSet: Int32] = [:]
  private let pattern: String

  private static let maximalLength = 20_000
  private static let maximalSets = 500
  /// The memory of the memoized matcher grows with this.
  private static let maximalChoices = 500

  static func compile(_ pattern: String) throws(PatternError) -> PatternProgram {
    var compiler = PatternCompiler(pattern: pattern)
    try compiler.emit(try PatternParser.parse(pattern))
    try compiler.add(.accept)
    compiler.finish()
    return compiler.program
  }

  private init(pattern: String) {
    self.pattern = pattern
  }

  private var next: Int32 { Int32(program.code.count) }

  @discardableResult
  private mutating func add(
    _ operation: PatternProgram.Operation,
    _ first: Int32 = 0,
    _ second: Int32 = 0
  ) throws(PatternError) -> Int {
    guard program.code.count < Self.maximalLength else {
      throw PatternError(
        pattern: pattern,
        offset: 0,
        message: "needs more than \(Self.maximalLength) instructions when its counts are unrolled."
      )
    }
    program.choiceColumns.append(Int32(program.choiceCount))
    if operation == .split || operation == .star { program.choiceCount += 1 }
    guard program.choiceCount <= Self.maximalChoices else {
      throw PatternError(
        pattern: pattern,
        offset: 0,
        message: "leaves more than \(Self.maximalChoices) choices when its counts are unrolled."
      )
    }
    program.code.append(.init(operation: operation, first: first, second: second))
    return program.code.count - 1
  }

  private mutating func index(of set: ScalarSet) throws(PatternError) -> Int32 {
    if let index = setIndices[set] { return index }
    guard program.sets.count < Self.maximalSets else {
      throw PatternError(
        pattern: pattern,
        offset: 0,
        message: "needs more than \(Self.maximalSets) classes."
      )
    }
    let index = Int32(program.sets.count)
    setIndices[set] = index
    program.sets.append(set)
    return index
  }

  private mutating func emit(_ tree: PatternTree) throws(PatternError) {
    switch tree {
    case .set(let set):
      if let scalar = set.single {
        for byte in UTF8.encode(scalar).map(Array.init) ?? [] { try add(.byte, Int32(byte)) }
      } else {
        try add(.set, try index(of: set))
      }
    case .sequence(let parts):
      for part in parts { try emit(part) }
    case .alternatives(let parts):
      try choose(parts.map(Emission.any))
    case .repetition(let part, let count, let isGreedy):
      for _ in 0..<count.lowerBound { try emit(part) }
      if count.upperBound == PatternTree.unbounded {
        try loop(part, isGreedy: isGreedy)
      } else {
        try options(part, count.upperBound - count.lowerBound, isGreedy: isGreedy)
      }
    case .atomic(let part):
      try enclose(.atomic, 0, .any(part))
    case .look(let part, ahead: true, let negated):
      try enclose(.lookAhead, negated ? 1 : 0, .any(part))
    case .look(let part, ahead: false, let negated):
      guard let width = part.width, width < 1000 else {
        throw PatternError(
          pattern: pattern,
          offset: 0,
          message: "looks back at a text of varying length, which is not supported."
        )
      }
      try enclose(.lookBehind, Int32(width * 2 + (negated ? 1 : 0)), .any(part))
    case .anchor(let anchor):
      try add(.anchor, anchor.rawValue)
    }
  }

  /// Emits what matches as the tree does, but never the empty text.
  private mutating func emitNonEmpty(_ tree: PatternTree) throws(PatternError) {
    guard tree.canBeEmpty else { return try emit(tree) }
    switch tree {
    case .sequence(let parts):
      guard !parts.isEmpty else { break }
      // Some part is the first not to be empty.
      return try choose(parts.indices.map { .nonEmptySequence(parts, first: $0) })
    case .alternatives(let parts):
      return try choose(parts.map(Emission.nonEmpty))
    case .repetition(let part, let count, let isGreedy):
      guard count.upperBound > 0 else { break }
      try emitNonEmpty(part)
      if count.upperBound == PatternTree.unbounded {
        return try loop(part, isGreedy: isGreedy)
      }
      return try options(part, count.upperBound - 1, isGreedy: isGreedy)
    case .atomic(let part):
      return try enclose(.atomic, 0, .nonEmpty(part))
    case .set, .look, .anchor: break
    }
    try add(.fail)
  }

  /// Emits what must hold where a tree that can be empty matches the empty text.
  private mutating func emitEmpty(_ tree: PatternTree) throws(PatternError) {
    switch tree {
    case .set: try add(.fail)
    case .sequence(let parts):
      for part in parts { try emitEmpty(part) }
    case .alternatives(let parts):
      try choose(parts.filter(\.canBeEmpty).map(Emission.empty))
    case .repetition(let part, let count, _):
      if count.lowerBound > 0 { try emitEmpty(part) }
    case .atomic(let part): try emitEmpty(part)
    case .look, .anchor: try emit(tree)
    }
  }

  /// Which of a tree's matches to emit.
  private enum Emission {
    case any(PatternTree)
    case nonEmpty(PatternTree)
    case empty(PatternTree)
    /// The parts in a row, of which `first` is the first that is not empty.
    case nonEmptySequence([PatternTree], first: Int)
  }

  private mutating func emit(_ emission: Emission) throws(PatternError) {
    switch emission {
    case .any(let tree): try emit(tree)
    case .nonEmpty(let tree): try emitNonEmpty(tree)
    case .empty(let tree): try emitEmpty(tree)
    case .nonEmptySequence(let parts, let first):
      for part in parts[..<first] { try emitEmpty(part) }
      try emitNonEmpty(parts[first])
      for part in parts[(first + 1)...] { try emit(part) }
    }
  }

  private mutating func choose(_ branches: [Emission]) throws(PatternError) {
    var ends: [Int] = []
    for (index, branch) in branches.enumerated() {
      guard index < branches.count - 1 else {
        try emit(branch)
        break
      }
      let split = try add(.split)
      program.code[split].first = next
      try emit(branch)
      ends.append(try add(.jump))
      program.code[split].second = next
    }
    for end in ends { program.code[end].first = next }
  }

  private mutating func loop(_ part: PatternTree, isGreedy: Bool) throws(PatternError) {
    if isGreedy, case .set(let set) = part {
      try add(.star, try index(of: set))
      return
    }
    let split = try add(.split)
    let body = next
    try emitNonEmpty(part)
    try add(.jump, Int32(split))
    setBranches(of: split, body, next, isGreedy: isGreedy)
  }

  private mutating func options(
    _ part: PatternTree,
    _ count: Int,
    isGreedy: Bool
  ) throws(PatternError) {
    var splits: [(Int, Int32)] = []
    for _ in 0..<count {
      splits.append((try add(.split), next))
      try emit(part)
    }
    for (split, body) in splits { setBranches(of: split, body, next, isGreedy: isGreedy) }
  }

  private mutating func setBranches(of split: Int, _ body: Int32, _ exit: Int32, isGreedy: Bool) {
    program.code[split].first = isGreedy ? body : exit
    program.code[split].second = isGreedy ? exit : body
  }

  private mutating func enclose(
    _ operation: PatternProgram.Operation,
    _ operand: Int32,
    _ body: Emission
  ) throws(PatternError) {
    let start = try add(operation, 0, operand)
    try emit(body)
    try add(.accept)
    program.code[start].first = next
  }

  /// Fills the tables, and makes possessive what gains nothing from going back.
  private mutating func finish() {
    let words = PatternProgram.bitmapWords
    program.bitmaps = .init(repeating: 0, count: program.sets.count * words)
    for (index, set) in program.sets.enumerated() {
      for range in set.ranges where range.lowerBound < 0x1_0000 {
        for value in range.lowerBound...min(range.upperBound, 0xffff) {
          program.bitmaps[index * words + Int(value >> 6)] |= 1 << UInt64(value & 63)
        }
      }
    }
    program.firstBytes = program.code.indices.map { firstBytes(from: $0) }
    for (index, instruction) in program.code.enumerated() where instruction.operation == .star {
      var own = ByteSet()
      own.insertLeads(of: program.sets[Int(instruction.first)])
      if own.isDisjoint(with: program.firstBytes[index + 1]) {
        program.code[index].operation = .possessiveStar
      }
    }
  }

  private func firstBytes(from start: Int) -> ByteSet {
    var bytes = ByteSet()
    var pending = [start]
    var seen: Set<Int> = []
    while let place = pending.popLast() {
      guard seen.insert(place).inserted else { continue }
      let instruction = program.code[place]
      switch instruction.operation {
      case .byte: bytes.insert(UInt8(truncatingIfNeeded: instruction.first))
      case .set: bytes.insertLeads(of: program.sets[Int(instruction.first)])
      case .star, .possessiveStar:
        bytes.insertLeads(of: program.sets[Int(instruction.first)])
        pending.append(place + 1)
      case .split: pending += [Int(instruction.first), Int(instruction.second)]
      case .jump, .lookAhead, .lookBehind: pending.append(Int(instruction.first))
      case .anchor: pending.append(place + 1)
      case .atomic, .accept: return .all
      case .fail: break
      }
      // A pattern of many parts gains little: stop before this becomes quadratic.
      if seen.count > 200 { return .all }
    }
    return bytes
  }
}
