import KaratBytes
package import KaratTensors
import Synchronization

/// How small the chunk codec makes some content, and how fast it is, on this machine.
package struct ChunkCodecBenchmark: Sendable {
  /// Stored bytes over raw bytes.
  package let ratio: Double
  /// Raw bytes a second that are encoded, checksum of the stored bytes included.
  package let encodingRate: Double
  /// Raw bytes a second that are decoded after their checksum is compared.
  package let decodingRate: Double
  /// The same with the digest of each chunk's content.
  package let verifiedDecodingRate: Double
  /// Raw bytes a second of digests alone.
  package let digestRate: Double

  /// Measures.
  ///
  /// Everything runs twice, and the faster run counts. It holds the content twice more.
  ///
  /// - Parameters:
  ///   - content: real weights, since random bytes do not compress; 100 MB or more give stable rates.
  ///   - dtype: what the bytes are.
  ///   - threads: how many chunks are worked on at a time.
  /// - Throws: `ChunkFault` where a chunk does not come back, which is a fault of ours.
  package init(
    _ content: UnsafeRawBufferPointer,
    of dtype: DType,
    threads: Int
  ) throws(ChunkFault) {
    let size = ChunkCodec.largestChunk
    let chunks = (content.count + size - 1) / size
    nonisolated(unsafe) let content = content
    nonisolated(unsafe) let stored = UnsafeMutableRawBufferPointer.allocate(
      byteCount: content.count,
      alignment: 64
    )
    nonisolated(unsafe) let decoded = UnsafeMutableRawBufferPointer.allocate(
      byteCount: content.count,
      alignment: 64
    )
    defer {
      stored.deallocate()
      decoded.deallocate()
    }
    typealias Entry = (encoding: ChunkEncoding, byteCount: Int, checksum: UInt32)
    let entries = Mutex([Entry](repeating: (ChunkEncoding(.raw), 0, 0), count: chunks))
    @Sendable func range(_ index: Int) -> Range<Int> {
      index * size..<min(content.count, (index + 1) * size)
    }

    func rate(_ work: @Sendable (Int) throws(ChunkFault) -> Void) throws(ChunkFault) -> Double {
      var best = Duration.seconds(1_000_000)
      for _ in 0..<2 {
        let start = ContinuousClock.now
        try concurrently(chunks, threads: threads, work)
        best = min(best, ContinuousClock.now - start)
      }
      return Double(content.count) / (best / .seconds(1))
    }
    encodingRate = try rate { index in
      let target = stored.part(range(index))
      let result = ChunkCodec.encode(content.part(range(index)), of: dtype, into: target)
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(target.part(..<result.byteCount)))
      entries.withLock { $0[index] = (result.encoding, result.byteCount, checksum) }
    }
    let table = entries.withLock { $0 }
    ratio = Double(table.reduce(0) { $0 + $1.byteCount }) / Double(max(1, content.count))

    @Sendable func decode(_ index: Int) throws(ChunkFault) {
      let bytes = UnsafeRawBufferPointer(stored.part(range(index)).part(..<table[index].byteCount))
      precondition(CRC32C.checksum(bytes) == table[index].checksum)
      try ChunkCodec.decode(bytes, as: table[index].encoding, into: decoded.part(range(index)))
    }
    decodingRate = try rate { index throws(ChunkFault) in try decode(index) }
    verifiedDecodingRate = try rate { index throws(ChunkFault) in
      try decode(index)
      _ = ContentRoot.leaf(UnsafeRawBufferPointer(decoded.part(range(index))))
    }
    digestRate = try rate { index in _ = ContentRoot.leaf(content.part(range(index))) }
    precondition(UnsafeRawBufferPointer(decoded).elementsEqual(content))
  }
}
