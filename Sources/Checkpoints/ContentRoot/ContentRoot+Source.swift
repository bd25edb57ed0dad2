public import KaratBytes
public import KaratTensors
import Synchronization

extension ContentRoot {
  /// Computes the root of all tensors of a source.
  ///
  /// Every byte is pulled once; each thread holds up to 1 MiB at a time, or one tensor where the
  /// source can only compute it as a whole.
  ///
  /// - Parameters:
  ///   - source: where runs of elements are pulled from, on several threads at a time.
  ///   - threads: how many threads; at least 1. The root is the same for any number.
  ///   - progress: hears how many bytes are done, on any thread.
  /// - Returns: the root.
  /// - Throws: `CheckpointError` where a tensor cannot be read.
  public static func of(
    _ source: some TensorSource,
    threads: Int,
    progress: ProgressReporter = .silent
  ) throws(CheckpointError) -> SHA256Digest {
    let total = source.manifest.totalBytes
    var tensors: [(name: TensorName, info: TensorInfo, root: SHA256Digest)] = []
    tensors.reserveCapacity(source.manifest.count)
    var tree = MerkleTree()
    var done = 0
    var batch: [Run] = []
    func digestBatch() throws(CheckpointError) {
      let leaves = try leaves(of: batch, in: source, threads: threads)
      for (run, leaves) in zip(batch, leaves) {
        for leaf in leaves { tree.append(leaf) }
        done += run.bytes.count
        guard run.isLast else { continue }
        tensors.append((run.name, run.info, tree.root))
        tree = MerkleTree()
      }
      batch.removeAll(keepingCapacity: true)
      progress.report("digest", done, of: total, "bytes")
    }
    for name in source.manifest.names {
      guard let info = source.manifest[name], let byteCount = info.byteCount else {
        throw .missing(name, in: "the checkpoint")
      }
      let runSize = source.isDivisible(name) ? leafSize : max(byteCount, 1)
      var start = 0
      repeat {
        let end = start + min(runSize, byteCount - start)
        batch.append(Run(name: name, info: info, bytes: start..<end, isLast: end == byteCount))
        if batch.count == runsOfBatch { try digestBatch() }
        start = end
      } while start < byteCount
    }
    try digestBatch()
    return checkpoint(tensors)
  }

  private static let runsOfBatch = 64

  /// Some leaves of a tensor, one behind the other; none where it is empty.
  private struct Run {
    let name: TensorName
    let info: TensorInfo
    let bytes: Range<Int>
    let isLast: Bool
  }

  /// The digests of the leaves of each run.
  private static func leaves(
    of runs: [Run],
    in source: some TensorSource,
    threads: Int
  ) throws(CheckpointError) -> [[SHA256Digest]] {
    let digests = Mutex([[SHA256Digest]](repeating: [], count: runs.count))
    try concurrently(runs.count, threads: threads) { index throws(CheckpointError) in
      let leaves = try leaves(of: runs[index], in: source)
      digests.withLock { $0[index] = leaves }
    }
    return digests.withLock { $0 }
  }

  private static func leaves(
    of run: Run,
    in source: some TensorSource
  ) throws(CheckpointError) -> [SHA256Digest] {
    guard !run.bytes.isEmpty else { return [] }
    // The run may cut blocks; elements are pulled that cover it.
    let block = run.info.dtype.block
    let first = run.bytes.lowerBound / block.bytes
    let last = (run.bytes.upperBound - 1) / block.bytes
    let elements = first * block.elements..<(last + 1) * block.elements
    let offset = run.bytes.lowerBound - first * block.bytes
    return try source.elements(elements, of: run.name).withBytes { bytes in
      stride(from: 0, to: run.bytes.count, by: leafSize).map { start in
        let end = min(start + leafSize, run.bytes.count)
        return leaf(bytes.part(offset + start..<offset + end))
      }
    }
  }
}
