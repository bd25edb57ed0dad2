#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif
package import KaratBytes
package import KaratTensors

/// How a reader gets at the bytes of a file.
public enum FileAccess: Sendable, Hashable {
  /// Bytes are copied when they are asked for; a file that becomes shorter gives an error.
  case copied
  /// The file is mapped into memory; one that becomes shorter ends the process by a signal.
  case mapped
}

/// The bytes behind a reader: those of a file, or bytes in memory in the place of one.
package struct CheckpointFile: Sendable {
  /// The path, or what stands for it in messages.
  package let path: String
  /// The length in bytes.
  package let byteCount: Int

  private enum Content: Sendable {
    case copied(ReadableFile)
    case mapped(MappedFile)
    case memory([UInt8])
    case writable(WritableFile)
  }
  private let content: Content

  /// Opens a file.
  package init(_ path: String, access: FileAccess) throws(CheckpointError) {
    self.path = path
    content = try CheckpointError.onFiles { () throws(FileError) in
      switch access {
      case .copied: .copied(try ReadableFile(path))
      case .mapped: .mapped(try MappedFile(path))
      }
    }
    byteCount =
      switch content {
      case .copied(let file): file.byteCount
      case .mapped(let file): file.byteCount
      case .memory(let bytes): bytes.count
      case .writable: 0
      }
  }

  /// A file that is being written, as long as it is now.
  package init(_ file: WritableFile) throws(CheckpointError) {
    path = file.path
    content = .writable(file)
    byteCount = try CheckpointError.onFiles { () throws(FileError) in try file.byteCount() }
  }

  /// Bytes in memory, as if they were a file of that name.
  package init(_ bytes: [UInt8], named path: String) {
    self.path = path
    content = .memory(bytes)
    byteCount = bytes.count
  }

  /// Copies the bytes from an offset into the whole of a buffer; they are known to be in the file.
  package func read(
    into buffer: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) throws(CheckpointError) {
    switch content {
    case .copied(let file):
      try CheckpointError.onFiles { () throws(FileError) in
        try file.read(into: buffer, at: offset)
      }
    case .mapped(let file):
      buffer.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + buffer.count])
      )
    case .memory(let bytes):
      bytes.withUnsafeBytes { bytes in
        buffer.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + buffer.count])
        )
      }
    case .writable(let file):
      try CheckpointError.onFiles { () throws(FileError) in
        try file.read(into: buffer, at: offset)
      }
    }
  }

  /// A copy of a range of bytes that is known to be in the file.
  package func bytes(_ range: Range<Int>) throws(CheckpointError) -> [UInt8] {
    switch content {
    case .copied(let file):
      try CheckpointError.onFiles { () throws(FileError) in try file.bytes(range) }
    case .mapped(let file): Array(file.bytes[range])
    case .memory(let bytes): Array(bytes[range])
    case .writable:
      try Self.filled(range.count) { buffer throws(CheckpointError) in
        try read(into: buffer, at: range.lowerBound)
      }
    }
  }

  private static func filled(
    _ count: Int,
    _ fill: (UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var refusal: CheckpointError?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(CheckpointError) { try fill(buffer) } catch { refusal = error }
    }
    if let refusal { throw refusal }
    return bytes
  }

  /// A tensor whose bytes start at an offset and are known to be in the file.
  func tensor(
    _ name: TensorName,
    _ info: TensorInfo,
    at offset: Int
  ) throws(CheckpointError) -> Tensor {
    let byteCount = info.byteCount ?? 0
    if case .mapped(let file) = content, offset % info.dtype.alignment == 0 {
      // Pages are aligned, so the offset alone tells how the elements lie.
      let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + byteCount])
      return Tensor(info.dtype, info.shape, borrowing: bytes, owner: file)
    }
    try checkMemory(for: byteCount, of: name)
    return try Tensor(info.dtype, info.shape) { buffer throws(CheckpointError) in
      try read(into: buffer, at: offset)
    }
  }

  /// Some elements of a tensor, whose bytes start at an offset and are known to be in the file.
  ///
  /// - Precondition: the range lies in the tensor and fills whole blocks of its type.
  func elements(
    _ range: Range<Int>,
    of name: TensorName,
    _ info: TensorInfo,
    at offset: Int
  ) throws(CheckpointError) -> Tensor {
    let start = info.byteOffset(ofElement: range.lowerBound)
    return try tensor(name, TensorInfo(info.dtype, [range.count]), at: offset + start)
  }

  /// Refuses a tensor that is larger than the machine's memory.
  func checkMemory(for byteCount: Int, of name: TensorName) throws(CheckpointError) {
    guard byteCount > Self.memorySize else { return }
    throw CheckpointError(
      .inputOutput,
      file: path,
      tensor: name,
      "its \(byteCount) bytes are more than the \(Self.memorySize) bytes of memory here."
    )
  }

  /// The bytes of the machine's memory.
  private static let memorySize = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
}

extension DType {
  /// The alignment that elements want in memory; blocks are read byte by byte.
  fileprivate var alignment: Int { block.elements == 1 ? block.bytes : 1 }
}
