package import KaratBytes
public import KaratTensors

/// Writes tensors into a safetensors file, a few megabytes in memory at a time.
///
/// Reading and computing run ahead of writing: see `TensorStream`.
/// The file appears whole or not at all, and the same tensors always give the same bytes: those of
/// the reference writer.
public struct SafetensorsWriter: Sendable {
  /// Text for `__metadata__`; Transformers wants `["format": "pt"]`.
  public var metadata: [String: String]
  /// Whether a file that is there may be replaced.
  public var isReplacing: Bool
  /// Called after each piece with the number of its bytes.
  public var onProgress: (@Sendable (Int) -> Void)?
  /// Where single files are written.
  package var fileSystem: any FileSystem = .real

  /// Makes a writer.
  public init(
    metadata: [String: String] = [:],
    replacing isReplacing: Bool = false,
    onProgress: (@Sendable (Int) -> Void)? = nil
  ) {
    self.metadata = metadata
    self.isReplacing = isReplacing
    self.onProgress = onProgress
  }

  /// Writes all tensors of a source.
  ///
  /// - Throws: `CheckpointError` where the target exists and may not be replaced, the disk is full
  ///   or fails, a tensor cannot be had, or the format cannot hold one; no file is left then.
  public func write(_ source: some TensorSource, to path: String) throws(CheckpointError) {
    try write(source.manifest.names, of: source, file: path) { byteCount throws(FileError) in
      try AtomicFile(path, replacing: isReplacing, expecting: byteCount, on: fileSystem)
    }
  }

  /// Writes some tensors of a source.
  ///
  /// - Parameters:
  ///   - names: the tensors.
  ///   - source: where they come from.
  ///   - path: what errors name.
  ///   - start: starts the file, which will have as many bytes as it is told.
  /// - Throws: as `write(_:to:)` does.
  func write(
    _ names: [TensorName],
    of source: some TensorSource,
    file path: String,
    start: (Int) throws(FileError) -> AtomicFile
  ) throws(CheckpointError) {
    let layout = try SafetensorsLayout(names, of: source.manifest, metadata: metadata, file: path)
    var file = try CheckpointError.onFiles { () throws(FileError) in
      let (byteCount, overflow) = layout.dataByteCount
        .addingReportingOverflow(layout.header.count + 8)
      return try start(overflow ? .max : byteCount)
    }
    try CheckpointError.onFiles { () throws(FileError) in
      var length = UInt64(layout.header.count).littleEndian
      try withUnsafeBytes(of: &length) { bytes throws(FileError) in try file.write(bytes) }
      try file.write(layout.header)
    }
    let stream = try TensorStream(layout.names, of: source)
    try stream.forEach { _, tensor throws(CheckpointError) in
      try CheckpointError.onFiles { () throws(FileError) in
        try tensor.withBytes { bytes throws(FileError) in try file.write(bytes) }
      }
      onProgress?(tensor.byteCount)
    }
    do throws(FileError) {
      try file.commit()
    } catch {
      throw CheckpointError(error)
    }
  }
}
