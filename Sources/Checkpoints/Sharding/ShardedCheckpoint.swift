import KaratBytes
public import KaratTensors

/// The tensors of a folder of files of one format, with an index that says which file holds which.
public struct ShardedCheckpoint: TensorSource {
  /// Names, types and shapes in the order of the index, and the first shard's metadata.
  public let manifest: Manifest

  private let shards: [any TensorSource]
  /// Each tensor's place in `shards`, in the order of the manifest.
  private let places: [UInt32]
  private let path: String

  /// Opens an index and all the files that it names, and checks them against each other.
  ///
  /// - Parameters:
  ///   - path: the index; the files lie beside it.
  ///   - format: what the files are to be.
  ///   - access: whether tensors are copied out of the files or lie in mapped memory.
  /// - Throws: `CheckpointError` where a file is missing or damaged, a tensor is not in the file
  ///   that the index names, or a file holds tensors that the index does not name.
  public init(
    index path: String,
    format: CheckpointFormat = .safetensors,
    access: FileAccess = .copied
  ) throws(CheckpointError) {
    let index = try ShardIndex(path)
    var shards: [any TensorSource] = []
    for shard in index.shards {
      shards.append(try Self.open(shard, of: index, format, access))
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

  /// Whether the file that holds it gives runs of it.
  public func isDivisible(_ name: TensorName) -> Bool {
    manifest.place(of: name).map { shards[Int(places[$0])].isDivisible(name) } ?? false
  }

  /// Reads a run of a tensor's elements from the file that holds it.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    try shard(of: name).elements(range, of: name)
  }

  private func shard(of name: TensorName) throws(CheckpointError) -> any TensorSource {
    guard let place = manifest.place(of: name) else { throw .missing(name, in: path) }
    return shards[Int(places[place])]
  }

  private static func open(
    _ shard: String,
    of index: ShardIndex,
    _ format: CheckpointFormat,
    _ access: FileAccess
  ) throws(CheckpointError) -> any TensorSource {
    do {
      return try format.open(Folder.join(index.folder, shard), access)
    } catch  where error.kind == .missing {
      throw CheckpointError(
        .missing,
        file: error.file,
        "the index \(index.path) names this file, and it is not there. Fetch it as well."
      )
    }
  }
}
