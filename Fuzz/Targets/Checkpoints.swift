import KaratCheckpoints
import KaratTensors
import KaratTestSupport

extension FuzzTarget {
  /// The header of a safetensors file, and its tensors.
  static let safetensors = FuzzTarget(
    name: "safetensors",
    seeds: ["fixtures/hostile/safetensors"],
    longestInput: 4096
  ) { bytes in
    pullAll(of: bytes) { file throws(CheckpointError) in
      let reader = try SafetensorsReader(file)
      require(reader.manifest.totalBytes <= bytes.count, "tensors are larger than their file")
      return reader
    }
  }

  /// A GGUF file, its metadata and its tensors.
  static let gguf = FuzzTarget(name: "gguf", seeds: ["fixtures/hostile/gguf"], longestInput: 4096) {
    pullAll(of: $0) { file throws(CheckpointError) in try GGUFReader(file) }
  }

  /// `model.safetensors.index.json`.
  static let index = FuzzTarget(
    name: "index",
    seeds: ["fixtures/hostile/index"],
    longestInput: 2048
  ) {
    bytes in
    do throws(CheckpointError) {
      let index = try ShardIndex(Array(bytes), path: name)
      require(index.names.count == index.places.count, "a tensor has no file")
      require(index.places.allSatisfy { $0 < index.shards.count }, "a file has no name")
      require(Set(index.names).count == index.names.count, "a tensor is there twice")
      require(!index.shards.contains { $0.contains("/") }, "a file lies in another folder")
    } catch {
      require(error.file == name, "\(error) does not name the file")
    }
  }

  /// A PyTorch file: a zip archive and its pickle, or one of the older kind, which has no checks.
  static let pytorch = FuzzTarget(
    name: "pytorch",
    seeds: ["fixtures/hostile/pytorch", "fixtures/checkpoints/torch-sharded"],
    longestInput: 8192
  ) { bytes in
    pullAll(of: bytes) { file throws(CheckpointError) in try TorchReader(file) }
    // Behind the checksums, which hardly any other change gets past.
    ZipForgery(Array(bytes)).bytes.withUnsafeBytes {
      pullAll(of: $0) { file throws(CheckpointError) in try TorchReader(file) }
    }
  }

  /// A KCF file; one that is a difference finds no base.
  static let kcf = FuzzTarget(
    name: "kcf",
    seeds: ["fixtures/kcf", "fixtures/hostile/kcf"],
    longestInput: 8192
  ) { bytes in
    @Sendable func open(_ file: CheckpointFile) throws(CheckpointError) -> any TensorSource {
      try ChunkedReader(file, base: MemorySource([:]), recovery: .lastCommit)
    }
    pullAll(of: bytes, open: open)
    ChunkedForgery(Array(bytes))?.bytes.withUnsafeBytes { pullAll(of: $0, open: open) }
  }

  /// What stands for the file's name in errors.
  private static let name = "fuzz"

  /// Opens bytes as a file and reads every tensor, whole and in part.
  static func pullAll(
    of bytes: UnsafeRawBufferPointer,
    open: (CheckpointFile) throws(CheckpointError) -> any TensorSource
  ) {
    do throws(CheckpointError) {
      let source = try open(CheckpointFile(Array(bytes), named: name))
      let manifest = source.manifest
      require(Set(manifest.names).count == manifest.count, "a name is there twice")
      for tensorName in manifest.names {
        guard let info = manifest[tensorName] else { fatalError("\(tensorName) has no entry") }
        let tensor = try source.tensor(tensorName)
        require(tensor.dtype == info.dtype && tensor.shape == info.shape, "\(tensorName) differs")
        require(tensor.byteCount == info.byteCount, "\(tensorName) has another size")
        let block = info.dtype.block.elements
        guard info.shape.elementCount >= 2 * block else { continue }
        let part = try source.elements(block..<2 * block, of: tensorName)
        require(part.byteCount == info.dtype.block.bytes, "a part of \(tensorName) differs")
      }
    } catch {
      require(error.file == name, "\(error) does not name the file")
    }
  }
}
