public import KaratBytes

/// A file that serves as data: a text, or the token ids of one, where its name ends in `.ids`.
public struct DataFile: Sendable {
  /// What a file holds.
  public enum Content: Sendable, Hashable {
    /// A text, which a model's tokenizer makes tokens of.
    case text(String)
    /// Token ids, line by line, as `karat tokenize` prints them; lines without any are left out.
    case ids([[Int32]])
  }

  /// The path, as the user named it.
  public let path: String
  /// What it holds.
  public let content: Content
  /// The hash of the file.
  public let digest: SHA256Digest

  /// Reads a text in UTF-8, or whole numbers from 0, parted by spaces or tabs.
  ///
  /// - Throws: `FileError` where it cannot be read, `DatasetError` where it is not UTF-8, or a word is
  ///   no token id, with its line.
  public init(_ path: String) throws {
    let file = try TextFile(path)
    self.path = path
    digest = file.digest
    content = path.hasSuffix(".ids") ? .ids(try Self.ids(file)) : .text(file.text)
  }

  private static func ids(_ file: TextFile) throws(DatasetError) -> [[Int32]] {
    var lines: [[Int32]] = []
    let rows = file.text.utf8.split(separator: 10, omittingEmptySubsequences: false)
    for (index, row) in rows.enumerated() {
      var ids: [Int32] = []
      for word in row.split(whereSeparator: { [9, 13, 32].contains($0) }) {
        guard word.allSatisfy({ (48...57).contains($0) }), let id = Int32(Substring(word)) else {
          throw DatasetError(
            "\(file.path), line \(index + 1): '\(String(Substring(word)).prefix(40))' is no token id; "
              + "numbers parted by spaces are needed, as karat tokenize prints them."
          )
        }
        ids.append(id)
      }
      if !ids.isEmpty { lines.append(ids) }
    }
    return lines
  }
}
