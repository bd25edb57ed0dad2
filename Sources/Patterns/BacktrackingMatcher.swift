/// Matches by going back to the last choice: fast on the patterns and texts that occur.
///
/// What it may cost is bounded by a budget; when that is used up, `MemoizedMatcher` takes over.
struct BacktrackingMatcher {
  /// A choice not yet taken: go on at `instruction` at `position`, and, for a star, at every
  /// scalar's start down to `lowest`.
  private struct Choice {
    var instruction: Int
    var position: Int
    var lowest: Int
  }

  enum Outcome {
    case end(Int)
    case noMatch
    case overBudget
  }

  private let text: PatternText
  private var choices: [Choice] = []
  private var budget: Int

  init(_ text: PatternText, budget: Int) {
    self.text = text
    self.budget = budget
  }

  mutating func match(from start: Int, at startPosition: Int) -> Outcome {
    var instruction = start
    var position = startPosition
    let bottom = choices.count
    defer { choices.removeLast(choices.count - bottom) }
    while true {
      budget &-= 1
      let current = text.code[instruction]
      let first = Int(current.first)
      var matches = true
      switch current.operation {
      case .byte:
        matches = position < text.count && text.text[position] == UInt8(truncatingIfNeeded: first)
        position &+= 1
        instruction &+= 1
      case .set:
        let length = text.length(at: position, in: first)
        matches = length > 0
        position &+= length
        instruction &+= 1
      case .star, .possessiveStar:
        let begin = position
        while case let length = text.length(at: position, in: first), length > 0 {
          position &+= length
        }
        budget &-= (position &- begin) >> 2
        instruction &+= 1
        if current.operation == .star, position > begin {
          choices.append(.init(instruction: instruction, position: position, lowest: begin))
        }
      case .split:
        let second = Int(current.second)
        if text.canBegin(first, at: position) {
          if text.canBegin(second, at: position) {
            choices.append(.init(instruction: second, position: position, lowest: -1))
          }
          instruction = first
        } else {
          instruction = second
        }
      case .jump:
        instruction = first
      case .atomic, .lookAhead, .lookBehind:
        switch enclosed(current, at: instruction, position) {
        case .end(let end):
          position = end
          instruction = first
        case .noMatch: matches = false
        case .overBudget: return .overBudget
        }
      case .anchor:
        matches = text.holds(current.first, at: position)
        instruction &+= 1
      case .accept:
        return budget > 0 ? .end(position) : .overBudget
      case .fail:
        matches = false
      }
      if matches { continue }

      guard budget > 0 else { return .overBudget }
      guard choices.count > bottom else { return .noMatch }
      let last = choices.count &- 1
      instruction = choices[last].instruction
      if choices[last].lowest < 0 {
        position = choices[last].position
        choices.removeLast()
      } else {
        position = text.previous(choices[last].position)
        choices[last].position = position
        if position == choices[last].lowest { choices.removeLast() }
      }
    }
  }

  /// Where an atomic group or a look-around leaves the position.
  private mutating func enclosed(
    _ group: PatternProgram.Instruction,
    at instruction: Int,
    _ position: Int
  ) -> Outcome {
    switch group.operation {
    case .lookAhead:
      return assertion(match(from: instruction + 1, at: position), group.second & 1 == 1, position)
    case .lookBehind:
      guard let start = text.start(of: Int(group.second / 2), before: position) else {
        return assertion(.noMatch, group.second & 1 == 1, position)
      }
      return assertion(match(from: instruction + 1, at: start), group.second & 1 == 1, position)
    default:
      return match(from: instruction + 1, at: position)
    }
  }

  private func assertion(_ outcome: Outcome, _ isNegated: Bool, _ position: Int) -> Outcome {
    switch outcome {
    case .end: isNegated ? .noMatch : .end(position)
    case .noMatch: isNegated ? .end(position) : .noMatch
    case .overBudget: .overBudget
    }
  }
}
