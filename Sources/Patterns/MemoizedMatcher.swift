/// Matches with a memory of every choice: at most one visit of each instruction at each position,
/// whatever the pattern and the text.
///
/// What follows from an instruction and a position does not depend on how they were reached, and
/// no loop goes round without consuming, so a remembered end (or its absence) is final.
struct MemoizedMatcher {
  private struct Choice {
    /// Where the choice is made, for remembering what came of it.
    let origin: (instruction: Int, position: Int)
    /// Where to go on when the first way came to nothing; negative when this was the last.
    var instruction: Int
    var position: Int
  }

  private let text: PatternText
  private var choices: [Choice] = []
  private var memory: MatchMemory

  init(_ text: PatternText) {
    self.text = text
    memory = MatchMemory(columns: text.choiceCount, positions: text.count + 1)
  }

  /// The end of the match, if there is one; no later call starts before this position.
  mutating func match(startingAt position: Int) -> Int? {
    memory.forget(before: position)
    return match(from: 0, at: position)
  }

  private mutating func match(from start: Int, at startPosition: Int) -> Int? {
    var instruction = start
    var position = startPosition
    let bottom = choices.count
    while true {
      let current = text.code[instruction]
      let first = Int(current.first)
      var matches = true
      switch current.operation {
      case .byte:
        matches = position < text.count && text.text[position] == UInt8(truncatingIfNeeded: first)
        position += 1
        instruction += 1
      case .set:
        let length = text.length(at: position, in: first)
        matches = length > 0
        position += length
        instruction += 1
      case .star, .possessiveStar, .split:
        switch memory[text.choiceColumns[instruction], position] {
        case .end(let end): return finish(bottom, end)
        case .noMatch: matches = false
        case .unknown: break
        }
        guard matches else { break }
        let origin = (instruction, position)
        var other = Int(current.second)
        if current.operation == .split {
          choices.append(.init(origin: origin, instruction: other, position: position))
          instruction = first
          break
        }
        let length = text.length(at: position, in: first)
        other = length > 0 && current.operation == .star ? instruction + 1 : -1
        choices.append(.init(origin: origin, instruction: other, position: position))
        if length == 0 { instruction += 1 }
        position += length
      case .jump:
        instruction = first
      case .atomic:
        let end = match(from: instruction + 1, at: position)
        matches = end != nil
        position = end ?? position
        instruction = first
      case .lookAhead:
        let isFound = match(from: instruction + 1, at: position) != nil
        matches = isFound != (current.second & 1 == 1)
        instruction = first
      case .lookBehind:
        let start = text.start(of: Int(current.second / 2), before: position)
        let isFound = start.map { match(from: instruction + 1, at: $0) != nil } ?? false
        matches = isFound != (current.second & 1 == 1)
        instruction = first
      case .anchor:
        matches = text.holds(current.first, at: position)
        instruction += 1
      case .accept:
        return finish(bottom, position)
      case .fail:
        matches = false
      }
      if matches { continue }

      while let last = choices.last, choices.count > bottom, last.instruction < 0 {
        remember(.noMatch, last)
        choices.removeLast()
      }
      guard choices.count > bottom, let last = choices.last else { return nil }
      (instruction, position) = (last.instruction, last.position)
      choices[choices.count - 1].instruction = -1
    }
  }

  /// Remembers the end for every choice on the way to it.
  private mutating func finish(_ bottom: Int, _ end: Int) -> Int {
    for choice in choices[bottom...] { remember(.end(end), choice) }
    choices.removeLast(choices.count - bottom)
    return end
  }

  private mutating func remember(_ outcome: MatchMemory.Outcome, _ choice: Choice) {
    memory[text.choiceColumns[choice.origin.instruction], choice.origin.position] = outcome
  }
}

/// What came of each choice at each position; only the positions met take memory.
private struct MatchMemory {
  enum Outcome {
    case unknown
    case noMatch
    case end(Int)
  }

  private let columns: Int
  /// By 256 positions, then by position and column: 0 for unknown, 1 for none, else the end plus 2.
  private var blocks: [[Int]]
  private var firstBlock = 0

  init(columns: Int, positions: Int) {
    self.columns = columns
    blocks = .init(repeating: [], count: (positions >> 8) + 1)
  }

  subscript(_ column: Int32, _ position: Int) -> Outcome {
    get {
      let block = blocks[position >> 8]
      guard !block.isEmpty else { return .unknown }
      return switch block[(position & 255) * columns + Int(column)] {
      case 0: .unknown
      case 1: .noMatch
      case let code: .end(code - 2)
      }
    }
    set {
      if blocks[position >> 8].isEmpty {
        blocks[position >> 8] = .init(repeating: 0, count: columns << 8)
      }
      blocks[position >> 8][(position & 255) * columns + Int(column)] =
        switch newValue {
        case .unknown: 0
        case .noMatch: 1
        case .end(let end): end + 2
        }
    }
  }

  mutating func forget(before position: Int) {
    while firstBlock < position >> 8 {
      blocks[firstBlock] = []
      firstBlock += 1
    }
  }
}
