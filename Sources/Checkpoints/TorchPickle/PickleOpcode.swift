/// The operations of a pickle that lists of tensors need: those that PyTorch's own restricted reader
/// knows.
enum PickleOpcode: UInt8, CaseIterable {
  case mark = 0x28
  case emptyTuple = 0x29
  case stop = 0x2e
  case binFloat = 0x47
  case binInt = 0x4a
  case binInt1 = 0x4b
  case binInt2 = 0x4d
  case none = 0x4e
  case binPersid = 0x51
  case reduce = 0x52
  case shortBinString = 0x55
  case binUnicode = 0x58
  case emptyList = 0x5d
  case append = 0x61
  case build = 0x62
  case global = 0x63
  case appends = 0x65
  case binGet = 0x68
  case longBinGet = 0x6a
  case binPut = 0x71
  case longBinPut = 0x72
  case setItem = 0x73
  case tuple = 0x74
  case setItems = 0x75
  case emptyDict = 0x7d
  case proto = 0x80
  case newObj = 0x81
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case newTrue = 0x88
  case newFalse = 0x89
  case long1 = 0x8a
  case emptySet = 0x8f

  /// The name in Python's `pickletools`.
  var name: String { Self.names[self] ?? "" }

  private static let names: [PickleOpcode: String] = [
    .mark: "MARK", .emptyTuple: "EMPTY_TUPLE", .stop: "STOP", .binFloat: "BINFLOAT",
    .binInt: "BININT", .binInt1: "BININT1", .binInt2: "BININT2", .none: "NONE",
    .binPersid: "BINPERSID", .reduce: "REDUCE", .shortBinString: "SHORT_BINSTRING",
    .binUnicode: "BINUNICODE", .emptyList: "EMPTY_LIST", .append: "APPEND", .build: "BUILD",
    .global: "GLOBAL", .appends: "APPENDS", .binGet: "BINGET", .longBinGet: "LONG_BINGET",
    .binPut: "BINPUT", .longBinPut: "LONG_BINPUT", .setItem: "SETITEM", .tuple: "TUPLE",
    .setItems: "SETITEMS", .emptyDict: "EMPTY_DICT", .proto: "PROTO", .newObj: "NEWOBJ",
    .tuple1: "TUPLE1", .tuple2: "TUPLE2", .tuple3: "TUPLE3", .newTrue: "NEWTRUE",
    .newFalse: "NEWFALSE", .long1: "LONG1", .emptySet: "EMPTY_SET",
  ]

  /// The names of Python's other operations, none of which is read.
  static let refused: [UInt8: String] = [
    0x30: "POP", 0x31: "POP_MARK", 0x32: "DUP", 0x46: "FLOAT", 0x49: "INT", 0x4c: "LONG",
    0x50: "PERSID", 0x53: "STRING", 0x54: "BINSTRING", 0x56: "UNICODE", 0x64: "DICT", 0x67: "GET",
    0x69: "INST", 0x6c: "LIST", 0x6f: "OBJ", 0x70: "PUT", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
    0x8b: "LONG4", 0x42: "BINBYTES", 0x43: "SHORT_BINBYTES", 0x8c: "SHORT_BINUNICODE",
    0x8d: "BINUNICODE8", 0x8e: "BINBYTES8", 0x90: "ADDITEMS", 0x91: "FROZENSET",
    0x92: "NEWOBJ_EX", 0x93: "STACK_GLOBAL", 0x94: "MEMOIZE", 0x95: "FRAME",
    0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
  ]
}
