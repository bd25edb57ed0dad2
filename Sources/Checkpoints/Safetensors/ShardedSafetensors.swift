import KaratBytes
public import KaratTensors

/// The tensors of a folder of safetensors files with an index that says which file holds which.
public struct ShardedSafetensors: TensorSource {
  /// The name of the index in a model folder.
  public static let indexName = "model.safetensors.index.json"

  /// Names, types and shapes in the order of the index, and the first shard's metadata.
  public let manifest: Manifest

  private let shards: [SafetensorsReader]
  /// Each tensor's place in `shards`, in the order of the manifest.
  private let places: [UInt32]
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
    var infos: [TensorInfo] = []
    infos.reserveCapacity(index.names.count)
    for (name, place) in zip(index.names, index.places) {
      guard let info = shards[Int(place)].manifest[name] else {
        throw CheckpointError(
          .missing,
          file: path,
          tensor: name,
          "it is to be in \(index.shards[Int(place)]), and is not there. Fetch both files again."
        )
      }
      infos.append(info)
    }
    let manifest: Manifest
    do throws(Manifest.Duplicate) {
      let metadata = shards.first?.manifest.metadata ?? [:]
      manifest = try Manifest(index.names, infos, metadata: metadata)
    } catch {
      throw ShardIndex.twice(error.name, in: path)
    }
    for (place, shard) in shards.enumerated() {
      for name in shard.manifest.names
      where manifest.place(of: name).map({ Int(index.places[$0]) }) != place {
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
    places = index.places
    self.path = path
  }

  /// Reads a tensor from the file that holds it.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    try shard(of: name).tensor(name)
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
    try shard(of: name).elements(range, of: name)
  }

  private func shard(of name: TensorName) throws(CheckpointError) -> SafetensorsReader {
    guard let place = manifest.place(of: name) else { throw .missing(name, in: path) }
    return shards[Int(places[place])]
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
