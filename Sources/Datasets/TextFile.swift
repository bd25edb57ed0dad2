public import KaratBytes

/// A text that serves as data, with its hash for the record.
public struct TextFile: Sendable {
  /// The path, as the user named it.
  public let path: String
  /// The text.
  public let text: String
  /// The hash of the file.
  public let digest: SHA256Digest

  /// Reads a text in UTF-8.
  ///
  /// - Throws: `FileError` where it cannot be read, `DatasetError` where it is not UTF-8.
  public init(_ path: String) throws {
    let bytes = try ReadableFile.contents(of: path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw DatasetError(
        "\(path): the \(bytes.count) bytes are not text in UTF-8. Convert the file, or choose "
          + "another."
      )
    }
    self.path = path
    self.text = text
    digest = try SHA256Digest.file(path)
  }
}
