/// A regular expression, compiled once, matched against UTF-8 in time linear in the text.
package struct Pattern: Sendable {
  private let program: PatternProgram
  private let stepsPerByte: Int

  /// Compiles an expression; the supported syntax is told at `PatternParser`.
  ///
  /// - Parameters:
  ///   - expression: the expression.
  ///   - stepsPerByte: how long to go on without a memory of what was tried. Ordinary patterns take
  ///     some ten steps a byte.
  /// - Throws: `PatternError` where the syntax is not supported or not well formed.
  package init(_ expression: String, stepsPerByte: Int = 256) throws(PatternError) {
    program = try PatternCompiler.compile(expression)
    self.stepsPerByte = stepsPerByte
  }

  /// Calls back for each match from left to right, with its first byte's offset and its end.
  ///
  /// Matches do not overlap. An empty match is reported where no match just ended.
  package func forEachMatch(
    in bytes: UnsafeBufferPointer<UInt8>,
    _ body: (_ start: Int, _ end: Int) -> Void
  ) {
    guard let text = bytes.baseAddress else {
      var none: UInt8 = 0
      return withUnsafePointer(to: &none) { forEachMatch($0, 0, body) }
    }
    forEachMatch(text, bytes.count, body)
  }

  /// Whether there is a match that begins with the text's first byte.
  package func matchesStart(of text: [UInt8]) -> Bool {
    // One byte more, so that an empty text has an address too; no match reads it.
    (text + [0]).withUnsafeBufferPointer { bytes in
      guard let start = bytes.baseAddress else { return false }
      let isFound = program.withUnsafeText(start, text.count) { text in
        var matcher = BacktrackingMatcher(text, budget: stepsPerByte * (text.count + 100))
        switch matcher.match(from: 0, at: 0) {
        case .end: return true
        case .noMatch: return false
        case .overBudget:
          var memoized = MemoizedMatcher(text)
          return memoized.match(startingAt: 0) != nil
        }
      }
      return isFound ?? false
    }
  }

  private func forEachMatch(
    _ text: UnsafePointer<UInt8>,
    _ count: Int,
    _ body: (_ start: Int, _ end: Int) -> Void
  ) {
    _ = program.withUnsafeText(text, count) { text in
      var matcher = BacktrackingMatcher(text, budget: stepsPerByte * (count + 100))
      var memoized: MemoizedMatcher?
      func end(at position: Int) -> Int? {
        if memoized == nil {
          switch matcher.match(from: 0, at: position) {
          case .end(let end): return end
          case .noMatch: return nil
          case .overBudget: memoized = MemoizedMatcher(text)
          }
        }
        return memoized?.match(startingAt: position)
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
  fileprivate func withUnsafeText<Result>(
    _ text: UnsafePointer<UInt8>,
    _ count: Int,
    _ body: (PatternText) -> Result
  ) -> Result? {
    code.withUnsafeBufferPointer { code in
      sets.withUnsafeBufferPointer { sets in
        bitmaps.withUnsafeBufferPointer { bitmaps in
          firstBytes.withUnsafeBufferPointer { firstBytes in
            choiceColumns.withUnsafeBufferPointer { choiceColumns in
              // A program has an instruction; without a set its bitmaps are never read.
              guard let code = code.baseAddress, let firstBytes = firstBytes.baseAddress,
                let choiceColumns = choiceColumns.baseAddress
              else { return nil }
              return withUnsafePointer(to: UInt64(0)) { noBitmap in
                body(
                  PatternText(
                    code: code,
                    sets: sets,
                    bitmaps: bitmaps.baseAddress ?? noBitmap,
                    firstBytes: firstBytes,
                    choiceColumns: choiceColumns,
                    choiceCount: choiceCount,
                    text: text,
                    count: count
                  )
                )
              }
            }
          }
        }
      }
    }
  }
}
