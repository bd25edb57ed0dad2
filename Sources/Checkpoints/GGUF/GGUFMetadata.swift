import KaratBytes

/// The metadata of a GGUF file: keys such as `llama.block_count` with typed values.
///
/// The tokenizer is in it as well, under `tokenizer.ggml.`.
public struct GGUFMetadata: Sendable {
  /// The keys and values in the order of the file.
  public private(set) var members: [(key: String, value: GGUFValue)] = []

  private var places: [UTF8Key: Int] = [:]

  /// Makes empty metadata.
  public init() {}

  /// The value of a key, or nil where there is none.
  public subscript(_ key: String) -> GGUFValue? {
    places[UTF8Key(key)].map { members[$0].value }
  }

  /// Appends a key and its value.
  ///
  /// - Returns: false, and changes nothing, where the key is there already.
  @discardableResult
  public mutating func append(_ key: String, _ value: GGUFValue) -> Bool {
    guard places[UTF8Key(key)] == nil else { return false }
    places[UTF8Key(key)] = members.count
    members.append((key, value))
    return true
  }
}
