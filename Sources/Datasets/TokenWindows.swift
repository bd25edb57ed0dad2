/// A text's tokens, cut into windows that do not overlap.
public struct TokenWindows: Sendable {
  /// The windows, in the text's order.
  public let windows: [[Int32]]
  /// How many tokens the text has.
  public let tokenCount: Int

  /// Cuts tokens into windows for measuring: every token stands in exactly one.
  ///
  /// The last window may be shorter; it is left out where it has a single token, since the first
  /// token of a window is not scored.
  ///
  /// - Parameters:
  ///   - tokens: the whole text, without special tokens added.
  ///   - length: tokens of one window; at least 2.
  ///   - limit: how many windows to take at most, from the beginning.
  ///   - name: what the text is called in messages.
  /// - Throws: `DatasetError` where the text has fewer than 2 tokens.
  public init(
    measuring tokens: [Int32],
    length: Int,
    limit: Int? = nil,
    name: String
  ) throws(DatasetError) {
    guard tokens.count >= 2 else {
      throw DatasetError(
        "\(name): the text has \(tokens.count) \(tokens.count == 1 ? "token" : "tokens"); at least "
          + "2 are needed, since the first of a window is not scored."
      )
    }
    let windows = stride(from: 0, to: tokens.count, by: length).map { start in
      Array(tokens[start..<min(start + length, tokens.count)])
    }.filter { $0.count >= 2 }
    self.windows = Array(windows.prefix(limit ?? .max))
    tokenCount = tokens.count
  }

  /// Takes whole windows for calibration, spread evenly over the text.
  ///
  /// - Parameters:
  ///   - tokens: the whole text, without special tokens added.
  ///   - count: how many windows to take at most.
  ///   - length: tokens of one window.
  ///   - name: what the text is called in messages.
  /// - Throws: `DatasetError` where the text is shorter than one window.
  public init(
    calibrating tokens: [Int32],
    count: Int,
    length: Int,
    name: String
  ) throws(DatasetError) {
    let available = tokens.count / length
    guard !tokens.isEmpty else {
      throw DatasetError(
        "\(name): the calibration text has no tokens. Give a text like those that the model will "
          + "read."
      )
    }
    guard available > 0 else {
      throw DatasetError(
        "\(name): the calibration text has \(tokens.count) tokens; one window needs \(length). "
          + "Give more text, or ask for shorter windows."
      )
    }
    let taken = min(count, available)
    windows = (0..<taken).map { index in
      let start = index * available / taken * length
      return Array(tokens[start..<start + length])
    }
    tokenCount = tokens.count
  }

  /// Takes whole texts for calibration, spread evenly, of about so many tokens together.
  ///
  /// - Parameters:
  ///   - texts: the texts, as they are to be run.
  ///   - tokens: how many tokens to take at most, but at least one text.
  /// - Returns: texts in their order.
  public static func spread(_ texts: [[Int32]], tokens: Int) -> [[Int32]] {
    let total = texts.reduce(0) { $0 + $1.count }
    guard total > tokens else { return texts }
    let taken = max(1, Int(Double(texts.count) * Double(tokens) / Double(total)))
    return (0..<taken).map { texts[$0 * texts.count / taken] }
  }
}

/// Why a text cannot serve as data.
public struct DatasetError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where, what is, what was needed, and what to do.
  public let description: String

  /// Describes what is wrong with a text.
  public init(_ description: String) {
    self.description = description
  }
}
