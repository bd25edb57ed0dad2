public import KaratBytes
public import KaratTensors

extension SafetensorsWriter {
  private static let indexName = "model.safetensors.index.json"

  /// Writes all tensors of a source into a folder: `model.safetensors`, or several files and an
  /// index where they would be more than one file should hold.
  ///
  /// Shards take tensors in the source's order until the next would not fit; a tensor larger than a
  /// shard has one of its own. The index is written last. The folder appears when it is committed:
  /// shards that took their places one by one could be read beside an index of others.
  ///
  /// - Parameters:
  ///   - source: what is written.
  ///   - folder: a folder that is to appear.
  ///   - shardSize: the most bytes of tensors in one file; nil for a single file.
  /// - Returns: the names of the files that were written.
  /// - Throws: `CheckpointError` as `write(_:to:)` does.
  @discardableResult
  public func write(
    _ source: some TensorSource,
    into folder: borrowing AtomicFolder,
    shardSize: Int? = nil
  ) throws(CheckpointError) -> [String] {
    let shards = Self.split(source.manifest, shardSize: shardSize ?? .max)
    guard shards.count > 1 else {
      let name = "model.safetensors"
      try write(source.manifest.names, of: source, as: name, into: folder)
      return [name]
    }
    var files: [String] = []
    var places: [TensorName: String] = [:]
    for (number, names) in zip(1..., shards) {
      let file = "model-\(Self.padded(number))-of-\(Self.padded(shards.count)).safetensors"
      try write(names, of: source, as: file, into: folder)
      for name in names { places[name] = file }
      files.append(file)
    }
    try writeIndex(of: places, totalBytes: source.manifest.totalBytes, into: folder)
    return files + [Self.indexName]
  }

  private func write(
    _ names: [TensorName],
    of source: some TensorSource,
    as file: String,
    into folder: borrowing AtomicFolder
  ) throws(CheckpointError) {
    try write(names, of: source, file: Folder.join(folder.target, file)) { _ throws(FileError) in
      try folder.file(file)
    }
  }

  private static func split(_ manifest: Manifest, shardSize: Int) -> [[TensorName]] {
    var shards: [[TensorName]] = [[]]
    var room = shardSize
    for name in manifest.names {
      let byteCount = manifest[name]?.byteCount ?? 0
      if byteCount > room, shards.last?.isEmpty == false {
        shards.append([])
        room = shardSize
      }
      shards[shards.count - 1].append(name)
      room = max(room - byteCount, 0)
    }
    return shards
  }

  private func writeIndex(
    of places: [TensorName: String],
    totalBytes: Int,
    into folder: borrowing AtomicFolder
  ) throws(CheckpointError) {
    var map = JSONObject()
    for (name, file) in places.sorted(by: { $0.key < $1.key }) { map[name.text] = .string(file) }
    let index: JSONValue = [
      "metadata": ["total_size": .number(JSONNumber(totalBytes))], "weight_map": .object(map),
    ]
    do throws(FileError) {
      var file = try folder.file(Self.indexName)
      try file.write(index.serialized() + [UInt8(ascii: "\n")])
      try file.commit()
    } catch {
      throw CheckpointError(error)
    }
  }

  private static func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(5 - digits.count, 0)) + digits
  }
}
