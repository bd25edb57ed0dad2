/// Matches with a memory of every choice: at most one visit of each instruction at each position,
/// whatever the pattern and the text.
///
/// What follows from an instruction and a position does not depend on how they were reached, and
/// no loop goes round without consuming, so a remembered end (or its absence) is final.
struct MemoizedMatcher {
  private struct Choice {
    let key: Int
    /// Where to go on when the first way came to nothing; negative when this was the last.
    var instruction: Int
    var position: Int
  }

  private let text: PatternText
  private var choices: [Choice] = []
  /// By instruction and position: the end of the match, or -1 for none.
  private var known: [Int: Int] = [:]

  init(_ text: PatternText) {
    self.text = text
  }

  /// The end of the match, if there is one.
  mutating func match(from start: Int, at startPosition: Int) -> Int? {
    var instruction = start
    var position = startPosition
    let bottom = choices.count
    while true {
      let current = text.code[instruction]
      let first = Int(current.first)
      let key = instruction * (text.count + 1) + position
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
        if let end = known[key] {
          if end >= 0 { return finish(bottom, end) }
          matches = false
          break
        }
        var other = Int(current.second)
        if current.operation == .split {
          choices.append(.init(key: key, instruction: other, position: position))
          instruction = first
          break
        }
        let length = text.length(at: position, in: first)
        other = length > 0 && current.operation == .star ? instruction + 1 : -1
        choices.append(.init(key: key, instruction: other, position: position))
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
        known[last.key] = -1
        choices.removeLast()
      }
      guard choices.count > bottom, let last = choices.last else { return nil }
      (instruction, position) = (last.instruction, last.position)
      choices[choices.count - 1].instruction = -1
    }
  }

  /// Remembers the end for every choice on the way to it.
  private mutating func finish(_ bottom: Int, _ end: Int) -> Int {
    for choice in choices[bottom...] { known[choice.key] = end }
    choices.removeLast(choices.count - bottom)
    return end
  }
}
