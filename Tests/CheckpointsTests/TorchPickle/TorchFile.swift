import KaratBytes

/// A PyTorch file, put together byte by byte: float32 tensors that lie in one storage in any way.
struct TorchFile {
  struct Layout {
    let sizes: [Int]
    let strides: [Int]
    let offset: Int
  }

  /// The bytes of a file with these tensors, named `0`, `1` and so on.
  static func bytes(_ layouts: [Layout], of storage: [Float]) -> [UInt8] {
    archive([
      ("t/data.pkl", pickle(layouts, storageCount: storage.count)),
      ("t/data/0", storage.withUnsafeBytes { Array($0) }),
      ("t/version", Array("3\n".utf8)),
    ])
  }

  private static func pickle(_ layouts: [Layout], storageCount: Int) -> [UInt8] {
    var pickle: [UInt8] = [0x80, 2] + Array("}(".utf8)
    for (number, layout) in layouts.enumerated() {
      pickle += text("\(number)") + Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8)
      pickle += text("storage") + Array("ctorch\nFloatStorage\n".utf8) + text("0") + text("cpu")
      pickle += integer(storageCount) + Array("tQ".utf8) + integer(layout.offset)
      for numbers in [layout.sizes, layout.strides] {
        pickle += Array("(".utf8) + numbers.flatMap(integer) + Array("t".utf8)
      }
      pickle += [0x89] + Array("ccollections\nOrderedDict\n)RtR".utf8)
    }
    return pickle + Array("u.".utf8)
  }

  private static func text(_ text: String) -> [UInt8] {
    [UInt8(ascii: "X")] + little(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  /// LONG1 of eight bytes.
  private static func integer(_ number: Int) -> [UInt8] { [0x8a, 8] + little(UInt64(number)) }

  /// A plain zip archive of records that are stored as they are.
  private static func archive(_ records: [(name: String, bytes: [UInt8])]) -> [UInt8] {
    var (file, directory): ([UInt8], [UInt8]) = ([], [])
    for (name, bytes) in records {
      let size = little(UInt32(bytes.count))
      let shared =
        [UInt8](repeating: 0, count: 10) + little(CRC32.checksum(bytes)) + size + size
        + little(UInt16(name.utf8.count)) + [0, 0]
      directory += Array("PK\u{1}\u{2}\0\0".utf8) + shared + [UInt8](repeating: 0, count: 10)
      directory += little(UInt32(file.count)) + Array(name.utf8)
      file += Array("PK\u{3}\u{4}".utf8) + shared + Array(name.utf8) + bytes
    }
    let count = little(UInt16(records.count))
    let end =
      Array("PK\u{5}\u{6}\0\0\0\0".utf8) + count + count + little(UInt32(directory.count))
      + little(UInt32(file.count)) + [0, 0]
    return file + directory + end
  }

  private static func little<T: FixedWidthInteger>(_ number: T) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }
}
