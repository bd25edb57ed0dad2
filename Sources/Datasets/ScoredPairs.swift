public import KaratBytes

/// Pairs of texts, each with a score of how alike people find them: rows of a TSV file.
public struct ScoredPairs: Sendable {
  /// One row.
  public struct Pair: Sendable, Hashable {
    /// How alike the texts are, on any scale that grows with it.
    public let score: Double
    /// The two texts.
    public let first, second: String
  }

  /// The rows, in the file's order.
  public let pairs: [Pair]
  /// The hash of the file.
  public let digest: SHA256Digest

  /// Whether a file's name says that it holds pairs.
  public static func isNamed(_ path: String) -> Bool { path.hasSuffix(".tsv") }

  /// Reads rows of a score and two texts, parted by tabs; a row without any text is passed over.
  ///
  /// - Throws: `FileError` where the file cannot be read, `DatasetError` where it is not UTF-8 or a row
  ///   is something else, with its number.
  public init(_ path: String) throws {
    let file = try TextFile(path)
    digest = file.digest
    var pairs: [Pair] = []
    // Lines end with \n or \r\n alone: other breaks may stand in a text.
    for (index, line) in file.text.utf8.split(separator: 10, omittingEmptySubsequences: false)
      .enumerated()
    {
      let row = line.last == 13 ? line.dropLast() : line
      guard !row.isEmpty else { continue }
      let fields = row.split(separator: 9, omittingEmptySubsequences: false).map { String($0) }
      guard fields.count == 3, fields.allSatisfy({ $0 != nil }) else {
        throw DatasetError(
          "\(path), line \(index + 1): \(fields.count) "
            + "\(fields.count == 1 ? "field" : "fields") parted by tabs; a score and two texts are "
            + "needed."
        )
      }
      let texts = fields.compactMap(\.self)
      guard let score = Double(texts[0]), score.isFinite else {
        throw DatasetError(
          "\(path), line \(index + 1): the score is '\(texts[0].prefix(40))'; a number is needed."
        )
      }
      pairs.append(Pair(score: score, first: texts[1], second: texts[2]))
    }
    guard pairs.count >= 2 else {
      throw DatasetError(
        "\(path): \(pairs.count) \(pairs.count == 1 ? "pair" : "pairs"); at least 2 are needed to "
          + "say whether they are ranked alike."
      )
    }
    self.pairs = pairs
  }
}
