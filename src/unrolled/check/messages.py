"""The sentences of all diagnoses, an entry a code, and the words they quote, in two languages."""

from __future__ import annotations

WORDS = {
    "assignment's numbers": ("the assignment's numbers", "作业自带的数据"),
    "random": ("random numbers", "随机数"),
    "other sizes": ("other sizes", "其他尺寸"),
    "N = 1": ("N = 1", "N = 1"),
    "T = 1": ("T = 1", "T = 1"),
    "large values": ("large values", "大数值"),
    "ragged mask": ("a ragged mask", "参差的掩码"),
    "repeated words": ("repeated words", "重复的词"),
    "float32": ("float32", "float32"),
    "everything": ("every case", "所有情形"),
    "the loss": ("the loss", "损失"),
    "the captions": ("the captions", "生成的描述"),
    "the loss is wrong": ("the loss is wrong", "损失不对"),
    "the captions are wrong": ("the captions are wrong", "生成的描述不对"),
    "an array": ("an array", "数组"),
    "a dict of arrays": ("a dict of arrays", "由数组组成的字典"),
    "value of another kind": ("value of another kind", "其他类型的值"),
    "no gradient, or a wrong one, comes out": (
        "no gradient, or a wrong one, comes out",
        "没有梯度，或梯度不对",
    ),
    # Parts of an LSTM and of its way back.
    "the cell state on its way to next_h": (
        "the cell state on its way to next_h",
        "通往 next_h 的单元状态",
    ),
    "the gate i": ("the gate i", "门 i"),
    "the gate f": ("the gate f", "门 f"),
    "the gate o": ("the gate o", "门 o"),
    "the gate g": ("the gate g", "门 g"),
    "sigmoid, gate i": ("sigmoid, gate i", "门 i 的 sigmoid"),
    "sigmoid, gate f": ("sigmoid, gate f", "门 f 的 sigmoid"),
    "sigmoid, gate o": ("sigmoid, gate o", "门 o 的 sigmoid"),
    "tanh, gate g": ("tanh, gate g", "门 g 的 tanh"),
    "dh of the step after": ("dh of the step after", "后一步传来的 dh"),
    "dh of the step after (dprev_h)": (
        "dh of the step after (dprev_h)",
        "后一步传来的 dh（dprev_h）",
    ),
    "dc of the step after": ("dc of the step after", "后一步传来的 dc"),
    "dc of the step after (dprev_c)": (
        "dc of the step after (dprev_c)",
        "后一步传来的 dc（dprev_c）",
    ),
    "dh of the step after and dc": ("dh of the step after and dc", "后一步传来的 dh 和 dc"),
    "dnext_c gets nothing through next_h": (
        "dnext_c gets nothing through next_h",
        "dnext_c 没有得到经 next_h 传来的部分",
    ),
    "dnext_h, on its way to the cell state": (
        "dnext_h, on its way to the cell state",
        "通往单元状态的 dnext_h",
    ),
    "1 - next_h**2 twice": ("1 - next_h**2 twice", "两次 1 - next_h**2"),
    "a step (ReLU)": ("a step (ReLU)", "阶跃函数（ReLU 的导数）"),
    # What is refused.
    "open a network connection": ("open a network connection", "建立网络连接"),
    "look up a network address": ("look up a network address", "查询网络地址"),
    "open a socket": ("open a socket", "打开套接字"),
    "start another program": ("start another program", "启动另一个程序"),
    "start another process": ("start another process", "启动另一个进程"),
    "stop another process": ("stop another process", "终止另一个进程"),
    "load machine code": ("load machine code", "加载机器码"),
    "make a folder": ("make a folder", "新建文件夹"),
    "open a folder": ("open a folder", "打开文件夹"),
    "delete a file": ("delete a file", "删除文件"),
    "delete a folder": ("delete a folder", "删除文件夹"),
    "rename a file": ("rename a file", "重命名文件"),
    "link a file": ("link a file", "建立文件链接"),
    "change a file": ("change a file", "更改文件"),
    "move a file": ("move a file", "移动文件"),
    "write a file": ("write a file", "写文件"),
    # Python 2.
    "print without parentheses": ("print without parentheses", "不带括号的 print"),
    "exec without parentheses": ("exec without parentheses", "不带括号的 exec"),
    "raise X, message": ("raise X, message", "raise X, message"),
}
"""What a sentence may quote, in both languages; what is not here is quoted as it is."""

MESSAGES: dict[str, tuple[str, str]] = {
    # Nothing to check, or nothing that can be checked.
    "not-implemented": (
        "still as it was handed out: it does nothing and returns None",
        "仍是作业下发时的样子：什么也没做，返回 None",
    ),
    "returns-none": (
        "returns None where {what} is expected; is a return or an assignment missing?",
        "本应返回 {what}，却返回了 None；是否漏了 return 或赋值？",
    ),
    "not-checked": (
        "cannot be judged until {what} is right: mend that first, then check again",
        "在 {what} 改正之前无法判断：请先改正它，再检查一次",
    ),
    "torch-missing": (
        "needs PyTorch, which is not installed here: pip install torch, then check again",
        "需要 PyTorch，但此处没有安装：请先 pip install torch，再检查一次",
    ),
    # What it returns.
    "wrong-count": (
        "returns {came}, expected {expected}",
        "返回了 {came}，应返回 {expected}",
    ),
    "wrong-type": (
        "{what} is a {came}, expected {expected}",
        "{what} 是 {came}，应是{expected}",
    ),
    "wrong-shape": (
        "{what} has shape {came}, expected {expected} ({case})",
        "{what} 的形状是 {came}，应为 {expected}（{case}）",
    ),
    "axes-swapped": (
        "{what} has shape {came}, expected {expected}: time comes first where the batch should",
        "{what} 的形状是 {came}，应为 {expected}：批次维与时间维颠倒了",
    ),
    "initial-state-included": (
        (
            "{what} has shape {came}, expected {expected}: the state before the first step is not"
            " part of the output"
        ),
        "{what} 的形状是 {came}，应为 {expected}：输出不应包含第一步之前的初始状态",
    ),
    "summed-wrong-axis": (
        "{what} has shape {came}, expected {expected}: it is summed over the wrong axis",
        "{what} 的形状是 {came}，应为 {expected}：求和的轴不对",
    ),
    "outputs-swapped": (
        "the numbers are right, but returned in another order: {order}",
        "数值正确，但返回的次序不对：{order}",
    ),
    "hard-coded-size": (
        (
            "works only where {letter} = {value}: a size is written into the code instead of taken"
            " from the arguments"
        ),
        "只在 {letter} = {value} 时正确：尺寸被写死在代码里，应从参数的形状取得",
    ),
    "dtype-widened": (
        "{what}: float64 where float32 came in (a np.zeros without dtype?)",
        "{what}：输入是 float32，输出却成了 float64（np.zeros 没有写 dtype？）",
    ),
    "dtype-narrowed": (
        "{what}: float32 where float64 came in (zeros without dtype?)",
        "{what}：输入是 float64，输出却成了 float32（zeros 没有写 dtype？）",
    ),
    "dtype-hard-coded": (
        (
            "fails where {dtype} comes in, and works otherwise: a dtype is written into the code"
            " ({error})"
        ),
        "输入为 {dtype} 时出错，其他情况正常：数据类型被写死在代码里（{error}）",
    ),
    "argument-changed": (
        "changes its argument {what} in place: the caller's array is no longer what it was",
        "就地修改了参数 {what}：调用者的数组被改变了",
    ),
    "upstream-changed": (
        "changes the upstream gradient {what} in place (+= on an argument); copy it first",
        "就地修改了上游梯度 {what}（对参数用了 +=）；请先复制一份",
    ),
    "overflow": (
        (
            "right on ordinary values, but {what} becomes {came} on large ones: the exponential"
            " overflows"
        ),
        "普通数值下正确，但数值很大时 {what} 变成 {came}：指数溢出",
    ),
    "not-repeatable": (
        "gives other numbers when called again with the same arguments",
        "用同样的参数再次调用，得到的数值不同",
    ),
    # It stops with an error.
    "integer-division": (
        (
            "line {line}: {text}: / gives a float in Python 3, so it cannot be an index or a size;"
            " write //"
        ),
        "第 {line} 行：{text}：Python 3 里 / 得到浮点数，不能用作下标或尺寸；请用 //",
    ),
    "python2": (
        "line {line}: {text}: {what} is Python 2; it is gone in Python 3",
        "第 {line} 行：{text}：{what} 是 Python 2 的写法，Python 3 已不支持",
    ),
    "undefined-name": (
        "line {line}: {text}: the name {what} has no value here",
        "第 {line} 行：{text}：名字 {what} 在这里没有值",
    ),
    "raises": (
        "line {line}: {text}: {error} ({case})",
        "第 {line} 行：{text}：{error}（{case}）",
    ),
    "wrong-arguments": (
        "cannot be called as the assignment calls it: {error}",
        "不能按作业的方式调用：{error}",
    ),
    # It does not come back.
    "too-slow": (
        "did not come back within {seconds} s: an endless loop?",
        "{seconds} 秒内没有返回：是否有死循环？",
    ),
    "too-much-memory": (
        "asked for more than the {megabytes} MB that it may use",
        "申请的内存超过了允许的 {megabytes} MB",
    ),
    "too-much-output": ("prints without end; it was stopped", "不停地打印，已被终止"),
    "exits": (
        "ends the program (exit, quit or os._exit) instead of returning",
        "没有返回，而是结束了程序（exit、quit 或 os._exit）",
    ),
    "crashes": ("crashes the interpreter ({signal})", "使解释器崩溃（{signal}）"),
    "forbidden": (
        "tries to {what}, which is refused here",
        "试图 {what}，此处不允许",
    ),
    # The numbers of a forward.
    "forward-wrong": (
        "{what}: other numbers than the reference in {case}",
        "{what}：与参考结果不符（{case}）",
    ),
    "bias-ignored": ("the bias b is not added", "没有加上偏置 b"),
    "bias-doubled": ("the bias b is added twice", "偏置 b 加了两次"),
    "state-ignored": (
        "the previous state {what} has no effect",
        "前一步的状态 {what} 没有起作用",
    ),
    "input-ignored": ("the input x has no effect", "输入 x 没有起作用"),
    "no-nonlinearity": (
        "{what} is missing its nonlinearity ({expected})",
        "{what} 缺少非线性函数（{expected}）",
    ),
    "wrong-nonlinearity": (
        "{what} goes through {came}, expected {expected}",
        "{what} 用了 {came}，应为 {expected}",
    ),
    "weights-transposed": (
        "{what} is used transposed where it should not be, or the other way round",
        "{what} 的转置用反了",
    ),
    "gate-order": (
        "the gates stand in the order {order}, expected i, f, o, g",
        "门的次序是 {order}，应为 i, f, o, g",
    ),
    "gates-mixed": (
        "the cell state is {came}, expected f * prev_c + i * g",
        "单元状态是 {came}，应为 f * prev_c + i * g",
    ),
    "recurrence-lost": (
        "each step starts from h0 instead of from the step before",
        "每一步都从 h0 开始，而不是从前一步的状态开始",
    ),
    "initial-state-ignored": ("h0 has no effect", "h0 没有起作用"),
    "cell-state-initial": (
        "the cell state starts from {came}, expected zero",
        "单元状态从 {came} 开始，应从零开始",
    ),
    "cell-state-lost": (
        "the cell state is not carried from step to step",
        "单元状态没有一步步传下去",
    ),
    "time-reversed": ("the sequence is read backwards", "序列被倒着读了"),
    "mask-ignored": (
        "the mask is ignored{where}: padding counts",
        "掩码没有起作用{where}：填充的位置也被计算了",
    ),
    "divided-by-time": (
        "the loss is divided by N*T, expected by N only",
        "损失除以了 N*T，应只除以 N",
    ),
    "divided-by-words": (
        "the loss is divided by the number of words, expected by N only",
        "损失除以了词数，应只除以 N",
    ),
    "not-averaged": ("{what} is not divided by N", "{what} 没有除以 N"),
    "averaged-twice": ("{what} is divided by N once too often", "{what} 多除了一次 N"),
    # The numbers of a backward.
    "gradient-wrong": (
        "{what}: other numbers than the derivative in {case}",
        "{what}：与导数不符（{case}）",
    ),
    "gradient-doubled": ("{what} is twice what it should be", "{what} 是应有值的两倍"),
    "gradient-sign": ("{what} has the wrong sign", "{what} 的符号反了"),
    "gradient-averaged": (
        "{what} is divided by {letter}; a gradient is summed over the batch, not averaged",
        "{what} 除以了 {letter}；梯度应对批次求和，而不是求平均",
    ),
    "gradient-zero": ("{what} is all zeros", "{what} 全是零"),
    "gradient-missing": ("no gradient for {what} in grads", "grads 里没有 {what} 的梯度"),
    "derivative-missing": (
        "the derivative of {what} is missing",
        "缺少 {what} 的导数",
    ),
    "upstream-missing": (
        "the upstream gradient {what} is missing",
        "缺少上游梯度：{what}",
    ),
    "upstream-doubled": (
        "the upstream gradient {what} is counted twice",
        "上游梯度 {what} 被算了两次",
    ),
    "wrong-state": (
        "{what} uses {came}, expected {expected}",
        "{what} 用了 {came}，应为 {expected}",
    ),
    "steps-lost": (
        "{what} is the gradient of one step, expected the sum over all steps (= for +=?)",
        "{what} 只是一个时间步的梯度，应对所有时间步求和（+= 写成了 =？）",
    ),
    "repeated-word-lost": (
        "a word that comes twice gets the gradient of one place only (see np.add.at)",
        "重复出现的词只得到一处的梯度（参见 np.add.at）",
    ),
    "one-hot-missing": (
        "dx is the softmax alone: 1 must be taken off at the true word",
        "dx 只是 softmax：正确词的位置应减去 1",
    ),
    "graph-broken": (
        "autograd cannot reach {what} through it: {error}",
        "autograd 无法通过它到达 {what}：{error}",
    ),
    # The model.
    "hard-coded-cell": (
        "only cell_type '{works}' works: with '{fails}' {error}",
        "只有 cell_type 为 '{works}' 时可用；为 '{fails}' 时{error}",
    ),
    "hard-coded-null": (
        "<NULL> is taken to be {value}: use self._null",
        "把 <NULL> 当成了 {value}：请用 self._null",
    ),
    "hard-coded-start": (
        "<START> is taken to be {value}: use self._start",
        "把 <START> 当成了 {value}：请用 self._start",
    ),
    "wrong-start": (
        "sampling begins with {value}, expected <START> (self._start)",
        "采样从 {value} 开始，应从 <START>（self._start）开始",
    ),
    "start-included": (
        "the captions begin with <START>; the first element is the first sampled word",
        "描述以 <START> 开头；第一个元素应是第一个采样得到的词",
    ),
    "word-not-fed": (
        "the sampled word is not fed back: every step reads <START>",
        "采样得到的词没有送回：每一步读的都是 <START>",
    ),
    "state-not-kept": (
        "{what} is not carried from step to step while sampling",
        "采样时 {what} 没有一步步传下去",
    ),
    "captions-not-shifted": (
        "words out are the words in: they must be captions[:, 1:]",
        "目标词与输入词相同：目标应是 captions[:, 1:]",
    ),
    "features-ignored": ("the image features have no effect", "图像特征没有起作用"),
}
