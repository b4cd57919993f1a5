"""One victim on a device, for several search processes of this machine.

The *device process* has the victim and its queue (``process``). Each search process has a client
(``client``), which stands for the victim. Rows and answers are in shared memory (``slots``), and
short messages go through a socket (``messages``). The parent of both starts the device process, and
starts it again where it dies (``keeper``).
"""
