#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif
import KaratBytes
import KaratTensors

/// How a reader gets at the bytes of a file.
public enum FileAccess: Sendable, Hashable {
  /// Bytes are copied when they are asked for; a file that becomes shorter gives an error.
  case copied
  /// The file is mapped into memory; one that becomes shorter ends the process by a signal.
  case mapped
}

/// The file behind a reader.
struct CheckpointFile: Sendable {
  let path: String
  let byteCount: Int

  private enum Content: Sendable {
    case copied(ReadableFile)
    case mapped(MappedFile)
  }
  private let content: Content

  init(_ path: String, access: FileAccess) throws(CheckpointError) {
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
      }
  }

  /// A copy of a range of bytes that is known to be in the file.
  func bytes(_ range: Range<Int>) throws(CheckpointError) -> [UInt8] {
    switch content {
    case .copied(let file):
      try CheckpointError.onFiles { () throws(FileError) in try file.bytes(range) }
    case .mapped(let file): Array(file.bytes[range])
    }
  }

  /// A tensor whose bytes start at an offset and are known to be in the file.
  func tensor(
    _ name: TensorName,
    _ info: TensorInfo,
    at offset: Int
  ) throws(CheckpointError) -> Tensor {
    let byteCount = info.byteCount ?? 0
    switch content {
    case .copied(let file):
      guard byteCount <= Self.memorySize else {
        throw CheckpointError(
          .inputOutput,
          file: path,
          tensor: name,
          "its \(byteCount) bytes are more than the \(Self.memorySize) bytes of memory here."
        )
      }
      return try CheckpointError.onFiles { () throws(FileError) in
        try Tensor(info.dtype, info.shape) { buffer throws(FileError) in
          try file.read(into: buffer, at: offset)
        }
      }
    case .mapped(let file):
      let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + byteCount])
      // Pages are aligned, so the offset alone tells how the elements lie.
      guard offset % info.dtype.alignment == 0 else {
        return Tensor(info.dtype, info.shape) { $0.copyMemory(from: bytes) }
      }
      return Tensor(info.dtype, info.shape, borrowing: bytes, owner: file)
    }
  }

  /// The bytes of the machine's memory.
  private static let memorySize = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
}

extension DType {
  /// The alignment that elements want in memory; blocks are read byte by byte.
  fileprivate var alignment: Int { block.elements == 1 ? block.bytes : 1 }
}
