import KaratBytes
public import KaratTensors

/// The tensors of a folder of safetensors files with an index that says which file holds which.
public struct ShardedSafetensors: TensorSource {
  /// The name of the index in a model folder.
  public static let indexName = "model.safetensors.index.json"

  /// Names, types and shapes in the order of the index, and the first shard's metadata.
  public let manifest: Manifest

  private let shards: [SafetensorsReader]
  private let places: [TensorName: Int]
  private let path: String

  /// Opens an index and all the files that it names, and checks them against each other.
  ///
  /// - Parameters:
  ///   - path: the index; the files lie beside it.
  ///   - access: whether tensors are copied out of the files or lie in mapped memory.
  /// - Throws: `CheckpointError` where a file is missing or damaged, a tensor is not in the file
  ///   that the index names, or a file holds tensors that the index does not name.
  public init(index path: String, access: FileAccess = .copied) throws(CheckpointError) {
    let index = try ShardIndex(path)
    var shards: [SafetensorsReader] = []
    for shard in index.shards {
      shards.append(try Self.open(shard, of: index, access: access))
    }
    var manifest = Manifest(metadata: shards.first?.manifest.metadata ?? [:])
    var places: [TensorName: Int] = [:]
    for (name, place) in index.places {
      guard let info = shards[place].manifest[name] else {
        throw CheckpointError(
          .missing,
          file: path,
          tensor: name,
          "it is to be in \(index.shards[place]), and is not there. Fetch both files again."
        )
      }
      manifest.set(name, info)
      places[name] = place
    }
    for (place, shard) in shards.enumerated() {
      for name in shard.manifest.names where places[name] != place {
        throw CheckpointError(
          .malformed,
          file: Folder.join(index.folder, index.shards[place]),
          tensor: name,
          "the index \(path) does not say that it is in this file. Fetch both files again."
        )
      }
    }
    self.manifest = manifest
    self.shards = shards
    self.places = places
    self.path = path
  }

  /// Reads a tensor from the file that holds it.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let place = places[name] else { throw .missing(name, in: path) }
    return try shards[place].tensor(name)
  }

  /// Every tensor is.
  public func isDivisible(_ name: TensorName) -> Bool { true }

  /// Reads a run of a tensor's elements from the file that holds it.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    guard let place = places[name] else { throw .missing(name, in: path) }
    return try shards[place].elements(range, of: name)
  }

  private static func open(
    _ shard: String,
    of index: ShardIndex,
    access: FileAccess
  ) throws(CheckpointError) -> SafetensorsReader {
    do {
      return try SafetensorsReader(Folder.join(index.folder, shard), access: access)
    } catch  where error.kind == .missing {
      throw CheckpointError(
        .missing,
        file: error.file,
        "the index \(index.path) names this file, and it is not there. Fetch it as well."
      )
    }
  }
}

/// Which file holds which tensor: `model.safetensors.index.json`.
struct ShardIndex {
  let path: String
  let folder: String
  /// The names of the files, each once, in the order in which the index names them first.
  private(set) var shards: [String] = []
  /// The tensors in the order of the index, each with its file's place in `shards`.
  private(set) var places: [(name: TensorName, shard: Int)] = []

  /// Reads and checks an index.
  init(_ path: String) throws(CheckpointError) {
    self.path = path
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let text = try CheckpointError.onFiles { () throws(FileError) in
      try ReadableFile.contents(of: path)
    }
    func malformed(_ message: String, _ tensor: TensorName? = nil) -> CheckpointError {
      CheckpointError(.malformed, file: path, tensor: tensor, message)
    }
    let index: JSONValue
    do throws(JSONError) {
      index = try JSONValue.parse(text)
    } catch {
      throw malformed("\(error)")
    }
    guard let map = index["weight_map"]?.object else {
      throw malformed("it holds no object 'weight_map', which says what file each tensor is in.")
    }
    var known: [UTF8Key: Int] = [:]
    for (key, value) in map.members {
      guard let shard = value.string else {
        throw malformed(
          "'weight_map' gives \(value.kind) for it; a file's name was needed.",
          .init(key)
        )
      }
      guard Self.isPlainName(shard) else {
        throw malformed(
          "'weight_map' gives \(TensorName(shard).quoted) for it; the name of a file beside the"
            + " index was needed, without a folder.",
          .init(key)
        )
      }
      if known[UTF8Key(shard)] == nil {
        known[UTF8Key(shard)] = shards.count
        shards.append(shard)
      }
      places.append((TensorName(key), known[UTF8Key(shard)] ?? 0))
    }
  }

  /// Whether a name cannot lead out of the folder.
  private static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
  }
}
