public import KaratBytes
import KaratTensors

/// A file that travels in a KCF with the tensors, such as `config.json`.
public struct ChunkedAttachment: Sendable, Hashable {
  /// Its path in the model's folder, with `/` between its parts.
  public let name: String
  /// The length of its content in bytes.
  public let byteCount: Int
  /// SHA-256 of its content.
  public let digest: SHA256Digest

  /// The longest content.
  static let largestByteCount = 1 << 30
  /// The longest name, in bytes.
  static let longestName = 1024

  /// Why a text cannot be the name of an attachment, or nil where it can.
  static func objection(to name: String) -> String? {
    guard (1...longestName).contains(name.utf8.count) else {
      return "it has \(name.utf8.count) bytes; 1 to \(longestName) are allowed."
    }
    guard !name.utf8.contains(0), !name.utf8.contains(UInt8(ascii: "\\")) else {
      return "it has a zero byte or a backslash."
    }
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard !parts.contains(where: { ["", ".", ".."].contains(String($0)) }) else {
      return "a part of it is empty, '.' or '..'; it must stay in the model's folder."
    }
    return nil
  }

  /// The name that another needs as a folder, or nil where there is none.
  static func conflict(in names: [String]) -> String? {
    // With the slash before all other bytes, a folder comes directly before what is in it.
    let slash = UInt8(ascii: "/")
    let keys = names.map { $0.utf8.map { $0 == slash ? 0 : $0 } }
      .sorted { $0.lexicographicallyPrecedes($1) }
    let pair = zip(keys, keys.dropFirst()).first { folder, name in
      name.count > folder.count && name[folder.count] == 0 && name.starts(with: folder)
    }
    return pair.map { String(decoding: $0.0.map { $0 == 0 ? slash : $0 }, as: UTF8.self) }
  }
}

/// The checkpoint that chunks of a KCF are stored as differences from.
public struct ChunkedBase: Sendable, Hashable {
  /// The root of its tensors, which names it.
  public let root: SHA256Digest
  /// Where it is, relative to the folder of the KCF.
  public let path: String
  /// How many bases stand one behind the other, this one included.
  public let depth: Int

  /// The longest path, in bytes.
  static let longestPath = 4096

  /// Why a text cannot be the path of a base, or nil where it can.
  static func objection(to path: String) -> String? {
    guard (1...longestPath).contains(path.utf8.count), !path.utf8.contains(0) else {
      return
        "it has \(path.utf8.count) bytes or a zero byte; 1 to \(longestPath) without are allowed."
    }
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { String($0) ?? "" }
    guard !parts.contains(""), !parts.contains("."),
      !parts.drop(while: { $0 == ".." }).contains("..")
    else {
      return "it is absolute, or a part of it is empty, '.', or a '..' that is not at its start."
    }
    return nil
  }
}
