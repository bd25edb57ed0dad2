/// A regular expression, compiled once, matched against UTF-8 in time linear in the text.
struct Pattern: Sendable {
  private let program: PatternProgram

  /// Compiles an expression; the supported syntax is told at `PatternParser`.
  init(_ expression: String) throws(PatternError) {
    program = try PatternCompiler.compile(expression)
  }

  /// Calls back for each match from left to right, with its first byte's offset and its end.
  ///
  /// Matches do not overlap. An empty match is reported where no match just ended.
  func forEachMatch(
    in bytes: UnsafeBufferPointer<UInt8>,
    _ body: (_ start: Int, _ end: Int) -> Void
  ) {
    guard let text = bytes.baseAddress else {
      var none: UInt8 = 0
      return withUnsafePointer(to: &none) { forEachMatch($0, 0, body) }
    }
    forEachMatch(text, bytes.count, body)
  }

  private func forEachMatch(
    _ text: UnsafePointer<UInt8>,
    _ count: Int,
    _ body: (_ start: Int, _ end: Int) -> Void
  ) {
    program.withUnsafeText(text, count) { text in
      // Ordinary patterns take some ten steps a byte.
      var matcher = BacktrackingMatcher(text, budget: 20_000 + 256 * count)
      var memoized: MemoizedMatcher?
      func end(at position: Int) -> Int? {
        if memoized == nil {
          switch matcher.match(from: 0, at: position) {
          case .end(let end): return end
          case .noMatch: return nil
          case .overBudget: memoized = MemoizedMatcher(text)
          }
        }
        return memoized?.match(from: 0, at: position)
      }

      var position = 0
      var lastEnd = -1
      while position <= count {
        if text.canBegin(0, at: position), let end = end(at: position),
          end > position || end != lastEnd
        {
          body(position, end)
          lastEnd = end
          if end > position {
            position = end
            continue
          }
        }
        guard position < count else { break }
        position += text.scalar(at: position).1
      }
    }
  }
}

extension PatternProgram {
  fileprivate func withUnsafeText(
    _ text: UnsafePointer<UInt8>,
    _ count: Int,
    _ body: (PatternText) -> Void
  ) {
    code.withUnsafeBufferPointer { code in
      sets.withUnsafeBufferPointer { sets in
        bitmaps.withUnsafeBufferPointer { bitmaps in
          firstBytes.withUnsafeBufferPointer { firstBytes in
            // A program has an instruction; without a set its bitmaps are never read.
            guard let code = code.baseAddress, let firstBytes = firstBytes.baseAddress else {
              return
            }
            withUnsafePointer(to: UInt64(0)) { noBitmap in
              body(
                PatternText(
                  code: code, sets: sets, bitmaps: bitmaps.baseAddress ?? noBitmap,
                  firstBytes: firstBytes, text: text, count: count))
            }
          }
        }
      }
    }
  }
}
