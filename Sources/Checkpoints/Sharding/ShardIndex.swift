import KaratBytes
package import KaratTensors

/// Which file holds which tensor: `model.safetensors.index.json`, `pytorch_model.bin.index.json`.
package struct ShardIndex {
  /// The index, as the user named it.
  package let path: String
  /// The folder that it lies in.
  package let folder: String
  /// The names of the files, each once, in the order in which the index names them first.
  package private(set) var shards: [String] = []
  /// The tensors in the order of the index.
  package private(set) var names: [TensorName] = []
  /// For each of `names` the place of its file in `shards`.
  package private(set) var places: [UInt32] = []

  private var shardPlaces: [UTF8Key: UInt32] = [:]

  /// Reads and checks an index.
  ///
  /// - Throws: `CheckpointError` where the file cannot be read or breaks a rule of the format.
  package init(_ path: String) throws(CheckpointError) {
    let text = try CheckpointError.onFiles { () throws(FileError) in
      try ReadableFile.contents(of: path)
    }
    try self.init(text, path: path)
  }

  /// Checks an index whose text is in memory.
  ///
  /// The text is read in one pass, without a tree: a million tensors take about a second.
  ///
  /// - Throws: `CheckpointError` where it breaks a rule of the format.
  package init(_ text: [UInt8], path: String) throws(CheckpointError) {
    self.path = path
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    try text.span.withUnsafeBytes { bytes throws(CheckpointError) in
      var scanner = JSONScanner(bytes, depth: JSONValue.Limits().depth)
      try parse(&scanner)
    }
    shardPlaces = [:]
  }

  private mutating func parse(_ scanner: inout JSONScanner) throws(CheckpointError) {
    guard try kind(of: &scanner) == .object else { throw noMap() }
    var keys: Set<UTF8Key> = []
    try reading { () throws(JSONError) in try scanner.beginObject() }
    while let key = try reading({ () throws(JSONError) in try scanner.nextKey() }) {
      guard keys.insert(UTF8Key(key)).inserted else {
        throw malformed("it holds the key \(TensorName(key).quoted) twice.")
      }
      if key == "weight_map" {
        try parseMap(&scanner)
      } else {
        try reading { () throws(JSONError) in try scanner.skip() }
      }
    }
    try reading { () throws(JSONError) in try scanner.end() }
    guard keys.contains(UTF8Key("weight_map")) else { throw noMap() }
  }

  private mutating func parseMap(_ scanner: inout JSONScanner) throws(CheckpointError) {
    guard try kind(of: &scanner) == .object else { throw noMap() }
    var table = NameTable()
    try reading { () throws(JSONError) in try scanner.beginObject() }
    while let key = try reading({ () throws(JSONError) in try scanner.nextKey() }) {
      let name = TensorName(key)
      guard table.append(name, in: names) == nil else { throw Self.twice(name, in: path) }
      guard try kind(of: &scanner) == .string else {
        let value = try reading { () throws(JSONError) in try scanner.value() }
        throw malformed(
          "'weight_map' gives \(value.kind) for it; a file's name was needed.",
          name
        )
      }
      let shard = try reading { () throws(JSONError) in try scanner.string() }
      names.append(name)
      places.append(try place(ofShard: shard, for: name))
    }
  }

  private mutating func place(
    ofShard shard: String,
    for name: TensorName
  ) throws(CheckpointError) -> UInt32 {
    if let place = shardPlaces[UTF8Key(shard)] { return place }
    guard Self.isPlainName(shard) else {
      throw malformed(
        "'weight_map' gives \(TensorName(shard).quoted) for it; the name of a file beside the"
          + " index was needed, without a folder.",
        name
      )
    }
    let place = UInt32(shards.count)
    shardPlaces[UTF8Key(shard)] = place
    shards.append(shard)
    return place
  }

  /// A tensor that the index names a second time.
  static func twice(_ name: TensorName, in path: String) -> CheckpointError {
    CheckpointError(
      .malformed,
      file: path,
      tensor: name,
      "'weight_map' names it twice; readers would disagree on which one counts."
    )
  }

  private func kind(of scanner: inout JSONScanner) throws(CheckpointError) -> JSONScanner.Kind {
    try reading { () throws(JSONError) in try scanner.kind() }
  }

  private func reading<Result>(
    _ work: () throws(JSONError) -> Result
  ) throws(CheckpointError) -> Result {
    do throws(JSONError) { return try work() } catch { throw malformed("\(error)") }
  }

  private func noMap() -> CheckpointError {
    malformed("it holds no object 'weight_map', which says what file each tensor is in.")
  }

  private func malformed(_ message: String, _ tensor: TensorName? = nil) -> CheckpointError {
    CheckpointError(.malformed, file: path, tensor: tensor, message)
  }

  /// Whether a name cannot lead out of the folder.
  private static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
  }
}
