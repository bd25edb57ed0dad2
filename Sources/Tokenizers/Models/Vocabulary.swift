import KaratBytes

/// The tokens of a model by their bytes and by their ids.
struct Vocabulary: Sendable {
  private var table: ByteTable
  /// By the table's number the id.
  private var ids: [Int32] = []
  /// By id the table's number, or -1 where there is a gap.
  private var indices: [Int32] = []

  /// Ids are below this: what a hostile file may make us allocate has a bound.
  static let limit = 1 << 24

  init(capacity: Int) {
    table = ByteTable(capacity: capacity)
  }

  /// How many tokens there are.
  var count: Int { table.count }

  /// One more than the highest id.
  var upperBound: Int { indices.count }

  func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? { table.index(of: token).map { ids[$0] } }

  func id(of token: [UInt8]) -> Int32? { token.withUnsafeBufferPointer { id(of: $0) } }

  func id(of token: String) -> Int32? { id(of: Array(token.utf8)) }

  func token(of id: Int32) -> [UInt8]? {
    guard indices.indices.contains(Int(id)), indices[Int(id)] >= 0 else { return nil }
    return Array(table[Int(indices[Int(id)])])
  }

  /// Adds a token.
  ///
  /// - Returns: what stands against it, in words, or nil where it was added.
  mutating func add(_ token: String, id: Int) -> String? {
    guard (0..<Self.limit).contains(id) else {
      return "the id \(id); an id from 0 to \(Self.limit - 1) is needed."
    }
    if id < indices.count, indices[id] >= 0 {
      let other = String(decoding: table[Int(indices[id])], as: UTF8.self)
      return "the id \(id), which '\(other)' has already; each token needs its own."
    }
    let (index, isNew) = table.insert(token.utf8)
    guard isNew else { return "there twice; each token needs its own text." }
    ids.append(Int32(id))
    if id >= indices.count {
      indices.append(contentsOf: repeatElement(-1, count: id + 1 - indices.count))
    }
    indices[id] = Int32(index)
    return nil
  }

  /// Reads `{"token": id, …}`.
  init(_ fields: Fields) throws(TokenizerError) {
    self.init(capacity: fields.object.count)
    for (token, value) in fields.object.members {
      guard let id = value.int else {
        throw fields.error(at: token, "\(value.kind); a whole number is needed.")
      }
      if let problem = add(token, id: id) { throw fields.error(at: token, problem) }
    }
  }
}
