/// Memory for the values of a run, reused between nodes and between runs.
final class BufferPool {
  private var free: [Int: [UnsafeMutableRawPointer]] = [:]

  /// A buffer of at least so many bytes, with unspecified content, aligned to 64 bytes.
  func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let size = Self.size(byteCount)
    return free[size]?.popLast() ?? .allocate(byteCount: size, alignment: 64)
  }

  /// Gives a buffer back.
  func give(_ buffer: UnsafeMutableRawPointer, _ byteCount: Int) {
    free[Self.size(byteCount), default: []].append(buffer)
  }

  deinit {
    for buffer in free.values.joined() { buffer.deallocate() }
  }

  // Whole pages: values of nearly the same size share buffers.
  private static func size(_ byteCount: Int) -> Int { (max(byteCount, 1) + 4095) & ~4095 }
}
