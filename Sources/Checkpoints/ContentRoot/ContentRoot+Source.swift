public import KaratBytes
public import KaratTensors

extension ContentRoot {
  /// Computes the root of all tensors of a source.
  ///
  /// Every byte is read once, a few MiB per thread at a time.
  ///
  /// - Parameters:
  ///   - source: where the tensors are pulled from, a run of elements at a time, from several
  ///     threads.
  ///   - threads: how many leaves are digested at a time; at least 1.
  ///   - progress: hears how many bytes are done.
  /// - Returns: the root.
  /// - Throws: `CheckpointError` where a tensor cannot be read.
  public static func of(
    _ source: some TensorSource,
    threads: Int,
    progress: ProgressReporter = .silent
  ) throws(CheckpointError) -> SHA256Digest {
    var tensors: [(name: TensorName, info: TensorInfo, root: SHA256Digest)] = []
    let total = source.manifest.totalBytes
    var done = 0
    for name in source.manifest.names {
      guard let info = source.manifest[name] else { throw .missing(name, in: "the checkpoint") }
      let byteCount = info.byteCount ?? 0
      var leaves: [SHA256Digest] = []
      for start in stride(from: 0, to: byteCount, by: leafSize) {
        leaves.append(
          try leaf(start..<min(start + leafSize, byteCount), of: name, info, in: source)
        )
        done += min(leafSize, byteCount - start)
        progress.report("digest", done, of: total, "bytes")
      }
      tensors.append((name, info, tensor(leaves)))
    }
    return checkpoint(tensors)
  }

  /// Digests a range of a tensor's bytes, which may cut elements and blocks.
  private static func leaf(
    _ range: Range<Int>,
    of name: TensorName,
    _ info: TensorInfo,
    in source: some TensorSource
  ) throws(CheckpointError) -> SHA256Digest {
    let block = info.dtype.block
    let blocks = range.lowerBound / block.bytes..<(range.upperBound - 1) / block.bytes + 1
    let elements = blocks.lowerBound * block.elements..<blocks.upperBound * block.elements
    let start = range.lowerBound - blocks.lowerBound * block.bytes
    return try source.elements(elements, of: name).withBytes { bytes in
      leaf(UnsafeRawBufferPointer(rebasing: bytes[start..<start + range.count]))
    }
  }
}
