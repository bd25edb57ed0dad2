/// The memory behind one or more tensors: owned and aligned to 64 bytes, or borrowed from an owner.
final class TensorStorage: @unchecked Sendable {
  // Unchecked: `mutableBytes` is used only before the storage is shared.
  let mutableBytes: UnsafeMutableRawBufferPointer
  private let owner: (any AnyObject & Sendable)?

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mutableBytes) }

  /// Owned memory, whose content is whatever was there before.
  init(byteCount: Int) {
    // An empty buffer still needs an address; it lends no byte of it.
    mutableBytes = UnsafeMutableRawBufferPointer(
      start: .allocate(byteCount: max(byteCount, 1), alignment: 64),
      count: byteCount
    )
    owner = nil
  }

  /// Memory that lives as long as its owner.
  init(borrowing bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable) {
    mutableBytes = UnsafeMutableRawBufferPointer(mutating: bytes)
    self.owner = owner
  }

  deinit {
    if owner == nil { mutableBytes.deallocate() }
  }
}
