import KaratTensors

/// What torch.save wrote in other times and ways, told by its first bytes, to say what to do.
enum LegacyTorch {
  /// PyTorch before 1.6: five pickles and the storages, behind a pickled magic number.
  private static let magic: [UInt8] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
  ]

  /// Whether a file that starts with these bytes comes from PyTorch, in whatever form.
  static func recognizes(_ start: [UInt8]) -> Bool {
    isZip(start) || isTar(start) || isPickle(start)
  }

  /// Says how to go on with a file that is no zip archive.
  static func refuse(_ file: CheckpointFile) throws(CheckpointError) {
    let start = try file.bytes(0..<min(file.byteCount, CheckpointFormat.startByteCount))
    let what: String
    if start.starts(with: magic) {
      what = "it was saved in the form of PyTorch before 1.6"
    } else if isTar(start) {
      what = "it was saved in the form of PyTorch before 0.2"
    } else if isPickle(start) {
      what = "it is a bare pickle, without the archive that torch.save makes"
    } else {
      return
    }
    throw CheckpointError(
      .unsupported,
      file: file.path,
      what + ". Where you trust it, load it in PyTorch and save it again with torch.save, or with"
        + " safetensors."
    )
  }

  private static func isZip(_ start: [UInt8]) -> Bool {
    start.starts(with: [0x50, 0x4b, 3, 4]) || start.starts(with: [0x50, 0x4b, 5, 6])
  }

  private static func isTar(_ start: [UInt8]) -> Bool {
    start.starts(with: "sys_info\0".utf8)
  }

  private static func isPickle(_ start: [UInt8]) -> Bool {
    start.count >= 2 && start[0] == 0x80 && 2...5 ~= start[1]
  }
}
